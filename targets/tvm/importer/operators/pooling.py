"""Maximum and average pools."""

from __future__ import annotations

import math as numbers

from tvm import te, tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.reduce import Combine, Scalar, extreme, outermost, reduce_axes
from targets.tvm.importer.operators.shape import pad
from targets.tvm.importer.operators.windows import Windows, windows
from targets.tvm.importer.registry import converter


def _geometry(call: NodeCall) -> Windows:
    kernel = call.integers("kernel_shape")
    if kernel is None:
        raise call.unsupported("kernel_shape is missing")
    return windows(call, call[0].shape[2:], kernel)


def _padded(call: NodeCall, geometry: Windows, fill: float | int) -> Operand:
    if not any(geometry.before) and not any(geometry.trailing):
        return call[0]
    return pad(call, call[0], (0, 0, *geometry.before), (0, 0, *geometry.trailing), fill=fill)


def _window_stage(x: Element, shape: tuple[int, ...], geometry: Windows, combine: Combine) -> te.Tensor:
    taps = [te.reduce_axis((0, extent), name=f"k{i}") for i, extent in enumerate(geometry.kernel)]

    def value(*indices: tirx.Expr) -> tirx.Expr:
        parts = zip(indices[2:], geometry.strides, taps, geometry.dilations, strict=True)
        return combine(x(*indices[:2], *(p * s + t * d for p, s, t, d in parts)), axis=taps)

    return te.compute(shape, value, name="window")


@converter("MaxPool")
def convert_max_pool(call: NodeCall) -> Operand:
    """Largest element of each window; padding never wins."""
    geometry = _geometry(call)
    source = _padded(call, geometry, outermost(call[0].dtype, largest=False))
    shape = (*source.shape[:2], *geometry.output)

    def kernel(stored: Element) -> te.Tensor:
        best = _window_stage(
            loaded(stored, source.dtype), shape, geometry, extreme(source.dtype, largest=True)
        )
        return te.compute(shape, lambda *i: element_types.store(best(*i), source.dtype), name="result")

    return call.builder.emit("max_pool", source.dtype, [source], kernel, Fusion.OPAQUE)


@converter("AveragePool")
def convert_average_pool(call: NodeCall) -> Operand:
    """Mean of each window, with or without counting the padding."""
    geometry = _geometry(call)
    source = _padded(call, geometry, 0.0)
    shape = (*source.shape[:2], *geometry.output)
    extents = call[0].shape[2:]
    count_padding = call.integer("count_include_pad", 0) == 1

    def divisor(position: tuple[tirx.Expr, ...]) -> tirx.Expr:
        result = math.constant(1.0)
        for axis, p in enumerate(position):
            front, back = geometry.before[axis], geometry.after[axis]
            start = p * geometry.strides[axis] - front
            low, high = (-front, extents[axis] + back) if count_padding else (0, extents[axis])
            step, taps = geometry.dilations[axis], geometry.kernel[axis]
            inside = [
                tirx.all(start + t * step >= low, start + t * step < high).astype("float32")
                for t in range(taps)
            ]
            total = inside[0]
            for flag in inside[1:]:
                total = total + flag
            result = result * total
        return result

    def kernel(stored: Element) -> te.Tensor:
        total = _window_stage(loaded(stored, source.dtype), shape, geometry, te.sum)
        return te.compute(
            shape,
            lambda *i: element_types.store(total(*i) / divisor(i[2:]), source.dtype),
            name="result",
        )

    return call.builder.emit("average_pool", source.dtype, [source], kernel, Fusion.OPAQUE)


@converter("GlobalAveragePool")
def convert_global_average_pool(call: NodeCall) -> Operand:
    """Mean over all spatial axes of [N, C, ...]."""
    count = tirx.const(float(numbers.prod(call[0].shape[2:])), "float32")
    return _global_pool(call, "global_average_pool", te.sum, lambda total: total / count)


@converter("GlobalMaxPool")
def convert_global_max_pool(call: NodeCall) -> Operand:
    """Largest element over all spatial axes of [N, C, ...]."""
    return _global_pool(call, "global_max_pool", extreme(call[0].dtype, largest=True))


def _global_pool(call: NodeCall, name: str, combine: Combine, after: Scalar = lambda x: x) -> Operand:
    source = call[0]
    axes = tuple(range(2, source.rank))
    kept = (*source.shape[:2], *(1 for _ in axes))

    def kernel(stored: Element) -> te.Tensor:
        reduced = reduce_axes(loaded(stored, source.dtype), source.shape, axes, combine, "reduce")
        return te.compute(
            kept, lambda *i: element_types.store(after(reduced(*i)), source.dtype), name="result"
        )

    return call.builder.emit(name, source.dtype, [source], kernel, Fusion.OPAQUE)
