"""Normalisations. Statistics are float32 whatever the graph's element type (ONNX `stash_type` = 1)."""

from __future__ import annotations

import math as numbers

import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.kernel_builder import Fusion, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.broadcast import broadcast_indices, elementwise
from targets.tvm.importer.operators.reduce import reduce_axes
from targets.tvm.importer.registry import converter


def _statistic(x: Element, shape: tuple[int, ...], axes: tuple[int, ...], name: str) -> te.Tensor:
    """Mean of an element function over axes (extent 1 there)."""
    total = reduce_axes(x, shape, axes, te.sum, f"{name}_sum")
    count = math.constant(float(numbers.prod(shape[axis] for axis in axes)))
    return te.compute(total.shape, lambda *i: total(*i) / count, name=name)


def _normalise(
    x: Element, shape: tuple[int, ...], axes: tuple[int, ...], epsilon: float, *, centre: bool
) -> Element:
    """(x − mean) / √(variance + ε), or x / √(mean square + ε) without centring."""

    def row(indices: tuple[tirx.Expr, ...]) -> list[tirx.Expr]:
        return [tirx.const(0, "int64") if i in axes else index for i, index in enumerate(indices)]

    if centre:
        mean = _statistic(x, shape, axes, "mean")

        def deviation(*indices: tirx.Expr) -> tirx.Expr:
            return x(*indices) - mean(*row(indices))
    else:
        deviation = x

    variance = _statistic(lambda *i: deviation(*i) * deviation(*i), shape, axes, "variance")
    one, small = math.constant(1.0), math.constant(epsilon)
    inverse = te.compute(variance.shape, lambda *i: one / tirx.sqrt(variance(*i) + small), name="inverse")
    return lambda *i: deviation(*i) * inverse(*row(i))


def _affine_norm(call: NodeCall, *, centre: bool) -> Operand:
    source, scale, bias = call[0], call[1], call.optional(2)
    axes = tuple(range(call.axis(-1, source.rank), source.rank))
    operands = [source, scale] if bias is None else [source, scale, bias]
    epsilon = call.number("epsilon", 1e-5)

    def kernel(stored: Element, s: Element, b: Element | None = None) -> te.Tensor:
        x = loaded(stored, source.dtype)
        normal = _normalise(x, source.shape, axes, epsilon, centre=centre)

        def value(*indices: tirx.Expr) -> tirx.Expr:
            result = normal(*indices)
            weight = element_types.load(s(*broadcast_indices(scale.shape, indices)), scale.dtype)
            result = result * weight
            if b is not None and bias is not None:
                result = result + element_types.load(b(*broadcast_indices(bias.shape, indices)), bias.dtype)
            return element_types.store(result, source.dtype)

        return te.compute(source.shape, value, name="result")

    name = "layer_norm" if centre else "rms_norm"
    return call.builder.emit(name, source.dtype, operands, kernel, Fusion.OPAQUE)


@converter("LayerNormalization")
def convert_layer_norm(call: NodeCall) -> Operand:
    """Normalises over the trailing axes, then scales and shifts."""
    return _affine_norm(call, centre=True)


@converter("RMSNormalization")
def convert_rms_norm(call: NodeCall) -> Operand:
    """Divides by the root mean square over the trailing axes, then scales."""
    return _affine_norm(call, centre=False)


@converter("InstanceNormalization")
def convert_instance_norm(call: NodeCall) -> Operand:
    """Normalises each channel of each sample over its spatial axes."""
    return _channel_norm(call, groups=call[0].shape[1])


@converter("GroupNormalization")
def convert_group_norm(call: NodeCall) -> Operand:
    """Normalises groups of channels of each sample; scale and bias are per channel (opset 21)."""
    return _channel_norm(call, groups=call.integer("num_groups", 1))


def _channel_norm(call: NodeCall, groups: int) -> Operand:
    source, scale, bias = call[0], call[1], call[2]
    batch, channels = source.shape[:2]
    if scale.shape != (channels,):
        raise call.unsupported(
            f"its scale has shape {scale.shape}, not one value for each of {channels} channels"
        )
    pixels = numbers.prod(source.shape[2:])
    shape = (batch, groups, channels // groups, pixels)
    view = call.builder.reshape(source, shape)
    epsilon = call.number("epsilon", 1e-5)

    def kernel(stored: Element, s: Element, b: Element) -> te.Tensor:
        normal = _normalise(loaded(stored, source.dtype), shape, (2, 3), epsilon, centre=True)

        def value(*indices: tirx.Expr) -> tirx.Expr:
            channel = indices[1] * (channels // groups) + indices[2]
            weight = element_types.load(s(channel), scale.dtype)
            return element_types.store(
                normal(*indices) * weight + element_types.load(b(channel), bias.dtype), source.dtype
            )

        return te.compute(shape, value, name="result")

    result = call.builder.emit("group_norm", source.dtype, [view, scale, bias], kernel, Fusion.OPAQUE)
    return call.builder.reshape(result, source.shape)


@converter("BatchNormalization")
def convert_batch_norm(call: NodeCall) -> Operand:
    """(x − mean) / √(variance + ε) · scale + bias, with recorded statistics."""
    source = call[0]
    if call.integer("training_mode", 0):
        raise call.unsupported("training mode")
    epsilon = math.constant(call.number("epsilon", 1e-5))
    column = (call[1].shape[0], *(1 for _ in source.shape[2:]))
    parameters = [call.builder.reshape(call[i], column) for i in range(1, 5)]

    def value(x: tirx.Expr, scale: tirx.Expr, bias: tirx.Expr, mean: tirx.Expr, var: tirx.Expr) -> tirx.Expr:
        return (x - mean) / tirx.sqrt(var + epsilon) * scale + bias

    return elementwise(call, value, source.dtype, [source, *parameters])


@converter("LpNormalization")
def convert_lp_norm(call: NodeCall) -> Operand:
    """Divides x by its 1- or 2-norm along one axis."""
    source = call[0]
    axes = (call.axis(-1, source.rank),)
    euclidean = call.integer("p", 2) == 2

    def kernel(stored: Element) -> te.Tensor:
        x = loaded(stored, ir.DataType(source.dtype))

        def magnitude(*indices: tirx.Expr) -> tirx.Expr:
            return x(*indices) * x(*indices) if euclidean else tirx.abs(x(*indices))

        total = reduce_axes(magnitude, source.shape, axes, te.sum, "total")

        def value(*indices: tirx.Expr) -> tirx.Expr:
            norm = total(*(0 if i in axes else index for i, index in enumerate(indices)))
            divisor = tirx.sqrt(norm) if euclidean else norm
            zero = math.constant(0.0)
            return element_types.store(
                tirx.Select(divisor == zero, zero, x(*indices) / divisor), source.dtype
            )

        return te.compute(source.shape, value, name="result")

    return call.builder.emit("lp_norm", source.dtype, [source], kernel, Fusion.OPAQUE)
