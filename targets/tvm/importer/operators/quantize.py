"""QuantizeLinear and DequantizeLinear for FP8 and integers, per tensor and per axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir
from tvm import te, tirx

from targets.tvm.importer import element_types, math
from targets.tvm.importer.kernel_builder import Body, loaded
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.registry import converter

_LIMITS = {
    ir.DataType.INT8: (-128, 127),
    ir.DataType.UINT8: (0, 255),
    ir.DataType.INT16: (-32768, 32767),
    ir.DataType.UINT16: (0, 65535),
}


@converter("QuantizeLinear")
def convert_quantize(call: NodeCall) -> Operand:
    """round(x / scale) + zero point, saturated; FP8 codes of x / scale."""
    source, scale, zero_point = call[0], call[1], call.optional(2)
    dtype = _quantised_type(call, zero_point)
    channel = _channel_index(call, scale, source.rank)
    operands = [source, scale] if zero_point is None else [source, scale, zero_point]

    def body(x: Element, s: Element, zero: Element | None = None) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            quotient = x(*indices).astype("float32") / s(*channel(indices)).astype("float32")
            # ONNX Runtime divides in the element type: a float16 quotient is rounded before it is quantised
            ratio = element_types.load(element_types.store(quotient, source.dtype), source.dtype)
            if dtype in element_types.FP8_TYPES:
                return ratio
            low, high = (tirx.const(float(limit), "float32") for limit in _LIMITS[dtype])
            rounded = math.round_half_even(ratio)
            if zero is not None:
                rounded = rounded + zero(*channel(indices)).astype("float32")
            return tirx.max(tirx.min(rounded, high), low).astype("int32")

        return value

    saturate = call.integer("saturate", 1) == 1
    return call.builder.compute("quantize", source.shape, dtype, operands, body, saturate=saturate)


@converter("DequantizeLinear")
def convert_dequantize(call: NodeCall) -> Operand:
    """(q − zero point) · scale. For a weight this is an expression, which the consumer's kernel evaluates."""
    source, scale, zero_point = call[0], call[1], call.optional(2)
    if source.dtype not in {*_LIMITS, ir.DataType.INT32, *element_types.FP8_TYPES}:
        raise call.unsupported(f"quantised type {source.dtype.name}")
    channel = _channel_index(call, scale, source.rank)
    if source.dtype in element_types.FP8_TYPES:
        zero_point = None  # ONNX requires it to be zero
    operands = [source, scale] if zero_point is None else [source, scale, zero_point]

    def body(q: Element, s: Element, zero: Element | None = None) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            level = q(*indices)
            if zero is not None:
                level = level.astype("int32") - zero(*channel(indices)).astype("int32")
            return level.astype("float32") * s(*channel(indices)).astype("float32")

        return value

    if source.is_weight:
        return _expression(operands, scale.dtype, body)
    return call.builder.compute("dequantize", source.shape, scale.dtype, operands, body)


def _expression(operands: Sequence[Operand], dtype: ir.DataType, body: Callable[..., Body]) -> Operand:
    """An operand that is computed wherever it is read."""
    source = operands[0]

    def bind(tensors: Sequence[te.Tensor]) -> Element:
        elements, start = [], 0
        for operand in operands:
            end = start + len(operand.buffers)
            elements.append(loaded(operand.bind(tensors[start:end]), operand.dtype))
            start = end
        value = body(*elements)
        return lambda *indices: element_types.store(value(*indices), dtype)

    buffers = tuple(buffer for operand in operands for buffer in operand.buffers)
    return Operand(buffers, source.shape, dtype, bind, source.contiguous_axis, is_weight=True)


def _quantised_type(call: NodeCall, zero_point: Operand | None) -> ir.DataType:
    if zero_point is not None:
        dtype = zero_point.dtype
    else:
        dtype = ir.DataType(call.integer("output_dtype", 0) or int(ir.DataType.UINT8))
    if dtype not in _LIMITS and dtype not in element_types.FP8_TYPES:
        raise call.unsupported(f"quantised type {dtype.name}")
    return dtype


def _channel_index(
    call: NodeCall, scale: Operand, rank: int
) -> Callable[[Sequence[tirx.Expr]], list[tirx.Expr]]:
    """Function from element indices to indices of the scale.

    Raises:
        TargetError: The scale is blocked.
    """
    if call.integer("block_size", 0):
        raise call.unsupported("blocked quantisation")
    if scale.rank == 0:
        return lambda _: []
    if scale.shape == (1,):
        return lambda _: [tirx.const(0, "int64")]
    axis = call.axis(1, rank)
    return lambda indices: [indices[axis]]
