"""Matrix products. A quantised weight is decoded inside the product's kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer import element_types
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.broadcast import broadcast_indices, elementwise
from targets.tvm.importer.operators.shape import permuted
from targets.tvm.importer.registry import converter

_LANES = (16, 8, 4)


@converter("MatMul")
def convert_matmul(call: NodeCall) -> Operand:
    """Batched product [..., M, K] · [..., K, N], accumulated in float32."""
    left, right = call[0], call[1]
    if left.rank == 0 or right.rank == 0:
        raise call.unsupported("an operand is a scalar")
    left = call.builder.reshape(left, (1, *left.shape)) if left.rank == 1 else left
    right = call.builder.reshape(right, (*right.shape, 1)) if right.rank == 1 else right
    product = matmul(call, left, right)
    shape = list(product.shape)
    if call[1].rank == 1:
        del shape[-1]
    if call[0].rank == 1:
        del shape[-1 if call[1].rank == 1 else -2]
    return call.builder.reshape(product, shape)


@converter("Gemm")
def convert_gemm(call: NodeCall) -> Operand:
    """α·A′B′ + β·C, where ′ is an optional transposition."""
    left = permuted(call[0], (1, 0)) if call.integer("transA", 0) else call[0]
    right = permuted(call[1], (1, 0)) if call.integer("transB", 0) else call[1]
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    if left.dtype not in element_types.FLOAT_TYPES and not (alpha.is_integer() and beta.is_integer()):
        raise call.unsupported(f"alpha {alpha:g} and beta {beta:g} of a product of {left.dtype.name}")
    bias = call.optional(2) if beta != 0.0 else None
    product = _accumulate(call, left, right)
    if bias is None:
        return elementwise(
            call, lambda p: p * tirx.const(alpha, p.ty.dtype), left.dtype, [product], "gemm_scale"
        )

    def combine(p: tirx.Expr, c: tirx.Expr) -> tirx.Expr:
        scaled = p if alpha == 1.0 else p * tirx.const(alpha, p.ty.dtype)
        return scaled + (c if beta == 1.0 else c * tirx.const(beta, c.ty.dtype))

    return elementwise(call, combine, left.dtype, [product, bias], "gemm_bias")


def matmul(call: NodeCall, left: Operand, right: Operand) -> Operand:
    """The product rounded to the element type of the left operand."""
    product = _accumulate(call, left, right)
    if product.dtype == left.dtype:
        return product
    return elementwise(call, lambda x: x, left.dtype, [product], "round_product")


def _accumulate(call: NodeCall, left: Operand, right: Operand) -> Operand:
    """The product in float32 (floats) or in the operands' own type (integers)."""
    if left.shape[-1] != right.shape[-2]:
        raise call.unsupported(f"inner extents of {left.shape} and {right.shape} differ")
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*batch, left.shape[-2], right.shape[-1])
    dtype = ir.DataType.FLOAT if left.dtype == ir.DataType.FLOAT16 else left.dtype
    depth = left.shape[-1]
    along_memory = right.contiguous_axis == right.rank - 2
    lanes = next((n for n in _LANES if depth % n == 0), 1) if along_memory else 1
    name = "matmul" if lanes == 1 else "matmul_rows"

    def kernel(left_element: Element, right_element: Element) -> te.Tensor:
        a, b = loaded(left_element, left.dtype), loaded(right_element, right.dtype)

        def term(indices: Sequence[tirx.Expr], k: tirx.Expr) -> tirx.Expr:
            a_value = a(*_batch_indices(left, indices, batch), indices[-2], k)
            return a_value * b(*_batch_indices(right, indices, batch), k, indices[-1])

        if lanes == 1:
            k = te.reduce_axis((0, depth), name="k")
            return te.compute(shape, lambda *i: te.sum(term(i, k.var), axis=k), name="contraction")
        return _lane_sums(shape, depth, lanes, term)

    return call.builder.emit(name, dtype, [left, right], kernel, Fusion.CONTRACTION)


def _lane_sums(
    shape: Sequence[int],
    depth: int,
    lanes: int,
    term: Callable[[Sequence[tirx.Expr], tirx.Expr], tirx.Expr],
) -> te.Tensor:
    """The right operand's neighbours lie along the depth: one partial sum a vector lane, then their sum."""
    block = te.reduce_axis((0, depth // lanes), name="k")
    lane = te.reduce_axis((0, lanes), name="lane")
    partial = te.compute(
        (*shape, lanes),
        lambda *i: te.sum(term(i[:-1], block.var * lanes + i[-1]), axis=block),
        name="partial_contraction",
    )
    return te.compute(shape, lambda *i: te.sum(partial(*i, lane), axis=lane), name="contraction")


def _batch_indices(operand: Operand, indices: Sequence[tirx.Expr], batch: Sequence[int]) -> list[tirx.Expr]:
    return broadcast_indices(operand.shape[:-2], indices[:-2], batch)
