"""Reductions over axes."""

from __future__ import annotations

import dataclasses
import math as numbers
from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall, positive_axes
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.registry import converter

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


@dataclasses.dataclass(frozen=True)
class _Reduction:
    """What a reduction computes.

    Attributes:
        combine: A TE reducer such as `te.sum`.
        nothing: Result over no elements.
        before: Applied to each element.
        after: Applied to the reduced value.
    """

    combine: Combine
    nothing: float
    before: Scalar = _identity
    after: Scalar = _identity


def _reduced_axes(call: NodeCall) -> tuple[int, ...]:
    """The reduced axes, sorted; none where the node asks for no reduction."""
    axes = call.static_ints(1, "axes")
    if not axes and call.integer("noop_with_empty_axes", 0):
        return ()
    return positive_axes(axes or None, call[0].rank)


def _reduce(call: NodeCall, what: _Reduction) -> Operand:
    source, axes = call[0], _reduced_axes(call)
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(source.shape))
    result = _kernel(call, what, axes, kept) if numbers.prod(source.shape) else _nothing(call, what, kept)
    return _without_reduced(call, result, axes)


def _without_reduced(call: NodeCall, result: Operand, axes: tuple[int, ...]) -> Operand:
    """The result without the reduced axes, unless the node keeps them."""
    if call.integer("keepdims", 1) or not axes:
        return result
    return call.builder.reshape(result, [e for i, e in enumerate(call[0].shape) if i not in axes])


def _kernel(call: NodeCall, what: _Reduction, axes: tuple[int, ...], kept: tuple[int, ...]) -> Operand:
    source = call[0]

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, source.dtype)

        def value(*indices: tirx.Expr) -> tirx.Expr:
            return what.before(x(*indices))

        total = reduce_axes(value, source.shape, axes, what.combine, "reduce") if axes else value
        return te.compute(
            kept, lambda *i: element_types.store(what.after(total(*i)), source.dtype), name="result"
        )

    return call.builder.emit(call.node.op_type.lower(), source.dtype, [source], kernel, Fusion.OPAQUE)


def _nothing(call: NodeCall, what: _Reduction, kept: tuple[int, ...]) -> Operand:
    """The result of a reduction over no elements."""
    dtype = call[0].dtype
    if numbers.isnan(what.nothing):
        _require_float(call)
    value = _within(what.nothing, dtype)
    return call.builder.constant(np.full(kept, value, dtype.numpy()), dtype)


def _within(value: float, dtype: ir.DataType) -> float | int | bool:
    """A value as an element type has it: its largest integer for ∞, true for a positive truth value."""
    if dtype == ir.DataType.BOOL:
        return value > 0
    if dtype in element_types.FLOAT_TYPES:
        return value
    limits = np.iinfo(dtype.numpy())
    return int(min(max(value, int(limits.min)), int(limits.max)))


def extreme(dtype: ir.DataType, *, largest: bool) -> Combine:
    """The reducer to the largest or smallest element. Unlike TVM's own it hands on NaN, -∞ and ∞."""
    start = outermost(dtype, largest=not largest)

    def combine(x: tirx.Expr, y: tirx.Expr) -> tirx.Expr:
        if dtype == ir.DataType.BOOL:
            return tirx.any(x, y) if largest else tirx.all(x, y)
        better = x > y if largest else x < y
        kept = tirx.any(better, math.is_nan(x)) if dtype in element_types.FLOAT_TYPES else better
        return tirx.Select(kept, x, y)

    reducer: Combine = te.comm_reducer(combine, lambda kind: tirx.const(start, kind), name="extreme")
    return reducer


def outermost(dtype: ir.DataType, *, largest: bool) -> float | int | bool:
    """The largest or smallest value of an element type: an infinity of a float."""
    return _within(numbers.inf if largest else -numbers.inf, dtype)


def _square(x: tirx.Expr) -> tirx.Expr:
    return x * x


def _require_float(call: NodeCall) -> None:
    if call[0].dtype not in element_types.FLOAT_TYPES:
        raise call.unsupported(f"element type {call[0].dtype.name}")


@converter("ReduceSum")
def convert_reduce_sum(call: NodeCall) -> Operand:
    """Sum over axes."""
    return _reduce(call, _Reduction(te.sum, 0.0))


@converter("ReduceMean")
def convert_reduce_mean(call: NodeCall) -> Operand:
    """Mean over axes."""
    count = numbers.prod(call[0].shape[axis] for axis in _reduced_axes(call))
    divide = tirx.div if call[0].dtype in element_types.FLOAT_TYPES else tirx.truncdiv
    return _reduce(
        call, _Reduction(te.sum, numbers.nan, after=lambda x: divide(x, tirx.const(count, x.ty.dtype)))
    )


@converter("ReduceMax")
def convert_reduce_max(call: NodeCall) -> Operand:
    """Largest element over axes; of truth values whether any is true."""
    return _reduce(call, _Reduction(extreme(call[0].dtype, largest=True), -numbers.inf))


@converter("ReduceMin")
def convert_reduce_min(call: NodeCall) -> Operand:
    """Smallest element over axes; of truth values whether all are true."""
    return _reduce(call, _Reduction(extreme(call[0].dtype, largest=False), numbers.inf))


@converter("ReduceProd")
def convert_reduce_prod(call: NodeCall) -> Operand:
    """Product over axes."""
    combine = te.comm_reducer(lambda x, y: x * y, lambda dtype: tirx.const(1, dtype), name="product")
    return _reduce(call, _Reduction(combine, 1.0))


@converter("ReduceSumSquare")
def convert_reduce_sum_square(call: NodeCall) -> Operand:
    """Sum of squares over axes."""
    return _reduce(call, _Reduction(te.sum, 0.0, before=_square))


@converter("ReduceL1")
def convert_reduce_l1(call: NodeCall) -> Operand:
    """Sum of magnitudes over axes."""
    return _reduce(call, _Reduction(te.sum, 0.0, before=tirx.abs))


@converter("ReduceL2")
def convert_reduce_l2(call: NodeCall) -> Operand:
    """Euclidean norm over axes."""
    _require_float(call)
    return _reduce(call, _Reduction(te.sum, 0.0, before=_square, after=tirx.sqrt))


@converter("ReduceLogSum")
def convert_reduce_log_sum(call: NodeCall) -> Operand:
    """Logarithm of the sum."""
    _require_float(call)
    return _reduce(call, _Reduction(te.sum, -numbers.inf, after=math.log))


@converter("ReduceLogSumExp")
def convert_reduce_log_sum_exp(call: NodeCall) -> Operand:
    """Logarithm of the sum of exponentials."""
    _require_float(call)
    what = _Reduction(te.sum, -numbers.inf, before=math.exp, after=math.log)
    axes, shape, dtype = _reduced_axes(call), call[0].shape, call[0].dtype
    if not axes or not numbers.prod(shape):
        return _reduce(call, what)

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, dtype)
        largest = reduce_axes(x, shape, axes, te.max, "largest")

        def shift(*indices: tirx.Expr) -> tirx.Expr:
            """The largest element, so that no power overflows; 0 where it is infinite."""
            top = largest(*(0 if i in axes else index for i, index in enumerate(indices)))
            return tirx.Select(tirx.abs(top) < math.constant(3e38), top, math.constant(0.0))

        total = reduce_axes(lambda *i: math.exp(x(*i) - shift(*i)), shape, axes, te.sum, "total")
        return te.compute(
            total.shape, lambda *i: element_types.store(math.log(total(*i)) + shift(*i), dtype), name="result"
        )

    result = call.builder.emit("reducelogsumexp", dtype, [call[0]], kernel, Fusion.OPAQUE)
    return _without_reduced(call, result, axes)
