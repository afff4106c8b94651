"""Max pooling and broadcasting in the graph's own order."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import plain
from targets.snapdragon.hexagon.kernels.plain_convolution import padded_code
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.max_pool import MaxPool


def plain_max_pool(operation: MaxPool) -> KernelCode:
    """One maximum an output element; the padding is tested at every tap."""

    def body(writer: KernelWriter) -> None:
        codes = writer.buffer("uint8", operation.source.elements)
        result = writer.buffer("uint8", operation.output.elements)
        largest = plain.cell()
        channels, height, width = operation.output.extents
        with T.serial(0, channels) as channel, T.serial(0, height) as row, T.serial(0, width) as column:
            plain.put(largest, T.int32(0))
            with T.serial(0, operation.kernel[0]) as down, T.serial(0, operation.kernel[1]) as right:
                y = row * operation.strides[0] + down * operation.dilations[0] - operation.pads[0]
                x = column * operation.strides[1] + right * operation.dilations[1] - operation.pads[1]
                plain.put(largest, T.max(largest[0], padded_code(operation, codes, channel, y, x)))
            place = plain.offset(operation.output, channel, row, column)
            T.buffer_store(result, T.Cast("uint8", largest[0]), [place])

    return write_kernel("max_pool", body)


def plain_broadcast(operation: Broadcast) -> KernelCode:
    """One copy an output element."""

    def body(writer: KernelWriter) -> None:
        codes = writer.buffer("uint8", operation.source.elements)
        result = writer.buffer("uint8", operation.output.elements)
        channels, height, width = operation.output.extents
        with T.serial(0, channels) as channel, T.serial(0, height) as row, T.serial(0, width) as column:
            at: list[Any] = [
                index if extent > 1 else 0
                for index, extent in zip((channel, row, column), operation.source.extents, strict=True)
            ]
            value = codes[plain.offset(operation.source, at[0], at[1], at[2])]
            T.buffer_store(result, value, [plain.offset(operation.output, channel, row, column)])

    return write_kernel("broadcast", body)
