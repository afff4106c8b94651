"""Positions of extreme elements, and running sums, along one axis."""

from __future__ import annotations

import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer import element_types
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.reduce import Combine, outermost
from targets.tvm.importer.registry import converter


@converter("ArgMax", "ArgMin")
def convert_arg_reduce(call: NodeCall) -> Operand:
    """Index of the largest (smallest) element along one axis; the first one, or the last if asked."""
    source = call[0]
    axis = call.axis(0, source.rank)
    largest = call.node.op_type == "ArgMax"
    reducer = _arg_reducer(source.dtype, largest=largest, last=call.integer("select_last_index", 0) == 1)
    kept = tuple(1 if i == axis else extent for i, extent in enumerate(source.shape))

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        position = te.reduce_axis((0, source.shape[axis]), name="r")

        def best(*indices: tirx.Expr) -> tirx.Expr:
            value = x(*indices[:axis], position, *indices[axis + 1 :])
            return reducer((position.var.astype("int64"), value), axis=position)

        return te.compute(kept, best, name="best")[0]

    result = call.builder.emit("arg_reduce", ir.DataType.INT64, [source], kernel, Fusion.OPAQUE)
    if call.integer("keepdims", 1):
        return result
    return call.builder.reshape(result, [e for i, e in enumerate(source.shape) if i != axis])


def _arg_reducer(dtype: ir.DataType, *, largest: bool, last: bool) -> Combine:
    def combine(
        x: tuple[tirx.Expr, tirx.Expr], y: tuple[tirx.Expr, tirx.Expr]
    ) -> tuple[tirx.Expr, tirx.Expr]:
        better, equal = (x[1] > y[1] if largest else x[1] < y[1]), x[1] == y[1]
        keep = better if last else tirx.any(better, equal)
        return tirx.Select(keep, x[0], y[0]), tirx.Select(keep, x[1], y[1])

    def start(index_type: str, value_type: str) -> tuple[tirx.Expr, tirx.Expr]:
        return tirx.const(0, index_type), tirx.const(outermost(dtype, largest=not largest), value_type)

    reducer: Combine = te.comm_reducer(combine, start, name="arg_reduce")
    return reducer


@converter("CumSum")
def convert_cumsum(call: NodeCall) -> Operand:
    """Running sum along a constant axis."""
    source = call[0]
    axis = (call.static_ints(1) or (0,))[0] % source.rank
    exclusive, reverse = call.integer("exclusive", 0) == 1, call.integer("reverse", 0) == 1

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        k = te.reduce_axis((0, source.shape[axis]), name="r")

        def partial(*indices: tirx.Expr) -> tirx.Expr:
            value = x(*indices[:axis], k, *indices[axis + 1 :])
            here = indices[axis]
            earlier, later = (here, k.var) if reverse else (k.var, here)
            included = earlier < later if exclusive else earlier <= later
            return te.sum(tirx.Select(included, value, tirx.const(0, value.ty.dtype)), axis=k)

        total = te.compute(source.shape, partial, name="running")
        return te.compute(
            source.shape, lambda *i: element_types.store(total(*i), source.dtype), name="result"
        )

    return call.builder.emit("cumsum", source.dtype, [source], kernel, Fusion.OPAQUE)
