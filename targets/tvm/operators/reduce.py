"""Reductions over axes, arg-reductions and running sums."""

from __future__ import annotations

import math as numbers
from collections.abc import Callable, Sequence

import onnx_ir as ir
from tvm import te, tirx

from targets.tvm import element_types
from targets.tvm.kernel_builder import Fusion, loaded
from targets.tvm.math import exp, log
from targets.tvm.node_call import NodeCall, positive_axes
from targets.tvm.operand import Element, Operand
from targets.tvm.registry import converter

Combine = Callable[..., tirx.Expr]
Scalar = Callable[[tirx.Expr], tirx.Expr]


def reduce_axes(
    element: Element, shape: Sequence[int], axes: Sequence[int], combine: Combine, name: str
) -> te.Tensor:
    """Reduces an element function; the result has extent 1 on the reduced axes.

    Args:
        element: From indices to a value.
        shape: Its domain.
        axes: Reduced axes, sorted.
        combine: A TE reducer such as `te.sum`.
        name: Of the stage.
    """
    inner = [te.reduce_axis((0, shape[axis]), name=f"r{axis}") for axis in axes]
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))

    def value(*indices: tirx.Expr) -> tirx.Expr:
        full = list(indices)
        for axis, variable in zip(axes, inner, strict=True):
            full[axis] = variable
        return combine(element(*full), axis=inner)

    return te.compute(kept, value, name=name)


def _identity(x: tirx.Expr) -> tirx.Expr:
    return x


def _reduce(
    call: NodeCall, combine: Combine, before: Scalar = _identity, after: Scalar = _identity
) -> Operand:
    source = call[0]
    axes = call.static_ints(1, "axes")
    if not axes and call.integer("noop_with_empty_axes", 0):
        return source
    reduced = positive_axes(axes or None, source.rank)
    kept = tuple(1 if axis in reduced else extent for axis, extent in enumerate(source.shape))

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        total = reduce_axes(lambda *i: before(x(*i)), source.shape, reduced, combine, "reduce")
        return te.compute(kept, lambda *i: element_types.store(after(total(*i)), source.dtype), name="result")

    name = call.node.op_type.lower()
    result = call.builder.emit(name, source.dtype, [source], kernel, Fusion.OPAQUE)
    if call.integer("keepdims", 1):
        return result
    return call.builder.reshape(result, [e for i, e in enumerate(source.shape) if i not in reduced])


def _square(x: tirx.Expr) -> tirx.Expr:
    return x * x


@converter("ReduceSum")
def convert_reduce_sum(call: NodeCall) -> Operand:
    """Sum over axes."""
    return _reduce(call, te.sum)


@converter("ReduceMean")
def convert_reduce_mean(call: NodeCall) -> Operand:
    """Mean over axes."""
    source = call[0]
    axes = positive_axes(call.static_ints(1, "axes") or None, source.rank)
    count = numbers.prod(source.shape[axis] for axis in axes)
    return _reduce(call, te.sum, after=lambda x: x / tirx.const(count, x.ty.dtype))


@converter("ReduceMax")
def convert_reduce_max(call: NodeCall) -> Operand:
    """Largest element over axes."""
    return _reduce(call, te.max)


@converter("ReduceMin")
def convert_reduce_min(call: NodeCall) -> Operand:
    """Smallest element over axes."""
    return _reduce(call, te.min)


@converter("ReduceProd")
def convert_reduce_prod(call: NodeCall) -> Operand:
    """Product over axes."""
    combine = te.comm_reducer(lambda x, y: x * y, lambda dtype: tirx.const(1, dtype), name="product")
    return _reduce(call, combine)


@converter("ReduceSumSquare")
def convert_reduce_sum_square(call: NodeCall) -> Operand:
    """Sum of squares over axes."""
    return _reduce(call, te.sum, before=_square)


@converter("ReduceL1")
def convert_reduce_l1(call: NodeCall) -> Operand:
    """Sum of magnitudes over axes."""
    return _reduce(call, te.sum, before=tirx.abs)


@converter("ReduceL2")
def convert_reduce_l2(call: NodeCall) -> Operand:
    """Euclidean norm over axes."""
    return _reduce(call, te.sum, before=_square, after=tirx.sqrt)


@converter("ReduceLogSum")
def convert_reduce_log_sum(call: NodeCall) -> Operand:
    """Logarithm of the sum."""
    return _reduce(call, te.sum, after=log)


@converter("ReduceLogSumExp")
def convert_reduce_log_sum_exp(call: NodeCall) -> Operand:
    """Logarithm of the sum of exponentials."""
    return _reduce(call, te.sum, before=exp, after=log)


@converter("GlobalAveragePool")
def convert_global_average_pool(call: NodeCall) -> Operand:
    """Mean over all spatial axes of [N, C, ...]."""
    count = tirx.const(float(numbers.prod(call[0].shape[2:])), "float32")
    return _global_pool(call, "global_average_pool", te.sum, lambda total: total / count)


@converter("GlobalMaxPool")
def convert_global_max_pool(call: NodeCall) -> Operand:
    """Largest element over all spatial axes of [N, C, ...]."""
    return _global_pool(call, "global_max_pool", te.max)


def _global_pool(call: NodeCall, name: str, combine: Combine, after: Scalar = _identity) -> Operand:
    source = call[0]
    axes = tuple(range(2, source.rank))
    kept = (*source.shape[:2], *(1 for _ in axes))

    def kernel(stored: Element) -> te.Tensor:
        reduced = reduce_axes(loaded(stored, source.dtype), source.shape, axes, combine, "reduce")
        return te.compute(
            kept, lambda *i: element_types.store(after(reduced(*i)), source.dtype), name="result"
        )

    return call.builder.emit(name, source.dtype, [source], kernel, Fusion.OPAQUE)


@converter("ArgMax", "ArgMin")
def convert_arg_reduce(call: NodeCall) -> Operand:
    """Index of the largest (smallest) element along one axis; the first one, or the last if asked."""
    source = call[0]
    axis = call.axis(0, source.rank)
    sign = 1.0 if call.node.op_type == "ArgMax" else -1.0
    reducer = _arg_reducer(prefer_last=call.integer("select_last_index", 0) == 1)
    kept = tuple(1 if i == axis else extent for i, extent in enumerate(source.shape))

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)
        position = te.reduce_axis((0, source.shape[axis]), name="r")

        def best(*indices: tirx.Expr) -> tirx.Expr:
            value = x(*indices[:axis], position, *indices[axis + 1 :]).astype("float32")
            return reducer((position.var.astype("int64"), value * tirx.const(sign, "float32")), axis=position)

        return te.compute(kept, best, name="best")[0]

    result = call.builder.emit("arg_reduce", ir.DataType.INT64, [source], kernel, Fusion.OPAQUE)
    if call.integer("keepdims", 1):
        return result
    return call.builder.reshape(result, [e for i, e in enumerate(source.shape) if i != axis])


def _arg_reducer(*, prefer_last: bool) -> Combine:
    def combine(
        x: tuple[tirx.Expr, tirx.Expr], y: tuple[tirx.Expr, tirx.Expr]
    ) -> tuple[tirx.Expr, tirx.Expr]:
        keep = x[1] > y[1] if prefer_last else x[1] >= y[1]
        return tirx.Select(keep, x[0], y[0]), tirx.Select(keep, x[1], y[1])

    def start(index_type: str, value_type: str) -> tuple[tirx.Expr, tirx.Expr]:
        return tirx.const(0, index_type), tirx.min_value(value_type)

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
