"""Convolution in the graph's own order."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import plain
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.max_pool import MaxPool


def plain_convolution(operation: Convolution) -> KernelCode:
    """One sum an output element; the padding is tested at every tap."""

    def body(writer: KernelWriter) -> None:
        codes = writer.buffer("uint8", operation.source.elements)
        weights = writer.constant(operation.weights)
        bias = writer.constant(operation.bias)
        scale = plain.PlainScale(writer, operation.scale)
        result = writer.buffer("uint8", operation.output.elements)
        total = plain.cell()
        outputs, height, width = operation.output.extents
        with T.serial(0, outputs) as channel, T.serial(0, height) as row, T.serial(0, width) as column:
            plain.put(total, bias[channel])
            _accumulate(operation, total, codes, weights, (channel, row, column))
            value = scale.apply(total[0], channel) + operation.output.zero_point
            place = plain.offset(operation.output, channel, row, column)
            T.buffer_store(result, plain.clamp(value, operation.minimum), [place])

    return write_kernel("convolution", body)


def _accumulate(
    operation: Convolution, total: Any, codes: Any, weights: Any, place: tuple[Any, Any, Any]
) -> None:
    outputs, inputs, rows, columns = operation.weights.shape
    channel, row, column = place
    with T.serial(0, inputs) as depth, T.serial(0, rows) as kernel_row, T.serial(0, columns) as kernel_column:
        y = row * operation.strides[0] + kernel_row * operation.dilations[0] - operation.pads[0]
        x = column * operation.strides[1] + kernel_column * operation.dilations[1] - operation.pads[1]
        tap = ((channel * inputs + depth) * rows + kernel_row) * columns + kernel_column
        first = T.floordiv(channel, outputs // operation.groups) * inputs
        value = padded_code(operation, codes, first + depth, y, x)
        plain.put(total, total[0] + value * T.Cast("int32", weights[tap]))


def padded_code(operation: Convolution | MaxPool, codes: Any, depth: Any, y: Any, x: Any) -> Any:
    """The int32 code of an input position, which may lie in the padding."""
    value = plain.code(codes, plain.offset(operation.source, depth, y, x))
    tests = []
    if operation.pads[0] or operation.pads[2]:
        tests += [y >= 0, y < operation.source.height]
    if operation.pads[1] or operation.pads[3]:
        tests += [x >= 0, x < operation.source.width]
    for test in tests:
        value = T.if_then_else(test, value, T.int32(operation.padding_code))
    return value
