"""Softmax, layer normalisation and mean in the graph's own order."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import plain
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.row_arithmetic import RECIPROCAL_BITS
from targets.snapdragon.hexagon.operations.softmax import BASE_SHIFT, VALUE_SHIFT, Softmax


def plain_softmax(operation: Softmax) -> KernelCode:
    """Three passes over the channels of each position."""

    def body(writer: KernelWriter) -> None:
        source = operation.source
        codes = writer.buffer("uint8", source.elements)
        table = writer.constant(operation.exponentials.astype(np.int32))
        scale = plain.PlainScale(writer, operation.scale)
        result = writer.buffer("uint8", source.elements)
        largest, total, row_scale = plain.cell(), plain.cell(), _RowScale()
        channels, height, width = source.extents
        with T.serial(0, height) as row, T.serial(0, width) as column:
            plain.put(largest, T.int32(0))
            with T.serial(0, channels) as channel:
                value = plain.code(codes, plain.offset(source, channel, row, column))
                plain.put(largest, T.max(largest[0], value))
            plain.put(total, T.int32(0))
            with T.serial(0, channels) as channel:
                value = plain.code(codes, plain.offset(source, channel, row, column))
                plain.put(total, total[0] + table[largest[0] - value])
            row_scale.set(total[0], BASE_SHIFT)
            with T.serial(0, channels) as channel:
                place = plain.offset(source, channel, row, column)
                exponential = table[largest[0] - plain.code(codes, place)]
                probability = row_scale.apply(exponential << T.int32(VALUE_SHIFT))
                value = scale.apply(probability, channel) + operation.output.zero_point
                T.buffer_store(result, plain.clamp(value, 0), [place])

    return write_kernel("softmax", body)


def plain_layer_norm(operation: LayerNorm) -> KernelCode:
    """Two passes over the channels of each position."""

    def body(writer: KernelWriter) -> None:
        source = operation.source
        codes = writer.buffer("uint8", source.elements)
        scale = plain.PlainScale(writer, operation.scale)
        offset = writer.constant(operation.offset)
        result = writer.buffer("uint8", source.elements)
        total, squares, row_scale = plain.cell(), plain.cell(), _RowScale()
        channels, height, width = source.extents
        with T.serial(0, height) as row, T.serial(0, width) as column:
            for variable in (total, squares):
                plain.put(variable, T.int32(0))
            with T.serial(0, channels) as channel:
                value = plain.code(codes, plain.offset(source, channel, row, column))
                plain.put(total, total[0] + value)
                plain.put(squares, squares[0] + value * value)
            epsilon = T.int64(operation.scaled_epsilon)
            arguments = (total[0], squares[0], T.int32(channels), epsilon)
            deviation = T.call_pure_extern("int32", "npuc_deviation", *arguments)
            row_scale.set(deviation, operation.base_shift)
            with T.serial(0, channels) as channel:
                place = plain.offset(source, channel, row, column)
                distance = plain.code(codes, place) * T.int32(channels) - total[0]
                normal = row_scale.apply(distance << T.int32(operation.deviation_shift))
                value = scale.apply(normal, channel) + offset[channel]
                T.buffer_store(result, plain.clamp(value, 0), [place])

    return write_kernel("layer_norm", body)


def plain_mean(operation: Mean) -> KernelCode:
    """One sum a channel."""

    def body(writer: KernelWriter) -> None:
        source = operation.source
        codes = writer.buffer("uint8", source.elements)
        scale = plain.PlainScale(writer, operation.scale)
        result = writer.buffer("uint8", operation.output.elements)
        total = plain.cell()
        channels, height, width = source.extents
        with T.serial(0, channels) as channel:
            plain.put(total, T.int32(-operation.positions * source.zero_point))
            with T.serial(0, height) as row, T.serial(0, width) as column:
                value = plain.code(codes, plain.offset(source, channel, row, column))
                plain.put(total, total[0] + value)
            value = scale.apply(total[0], channel) + operation.output.zero_point
            T.buffer_store(result, plain.clamp(value, 0), [channel])

    return write_kernel("mean", body)


class _RowScale:
    """`scale_rows` for one row."""

    def __init__(self) -> None:
        self._multiplier, self._shift = plain.cell(), plain.cell()

    def set(self, value: Any, base_shift: int) -> None:
        inverse = T.call_pure_extern("int32", "npuc_reciprocal", value)
        plain.put(self._multiplier, inverse << T.int32(RECIPROCAL_BITS))
        shift = T.call_pure_extern("int32", "npuc_normalizing_shift", value) + base_shift
        plain.put(self._shift, T.max(shift, T.int32(1)))

    def apply(self, value: Any) -> Any:
        return plain.scaled(value, self._multiplier[0], self._shift[0], 0)
