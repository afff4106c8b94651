"""Copies of codes between layouts, byte by byte, and the padding of packed activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, DEPTH, BlockLayout
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

_Address = Callable[[Any, Any, Any, Any], Any]
"""(block, channel in the block, row, column) → byte."""
_WORDS = BLOCK // DEPTH


def pack(tensor: QuantizedTensor) -> KernelCode:
    """The graph's order → blocks."""
    layout = BlockLayout(*tensor.extents)
    return _move("pack", tensor, (_graph(tensor), tensor.elements), (_blocks(layout), layout.nbytes))


def unpack(tensor: QuantizedTensor) -> KernelCode:
    """Blocks → the graph's order."""
    layout = BlockLayout(*tensor.extents)
    return _move("unpack", tensor, (_blocks(layout), layout.nbytes), (_graph(tensor), tensor.elements))


def _graph(tensor: QuantizedTensor) -> _Address:
    channel_stride, row_stride, column_stride = tensor.strides

    def address(block: Any, channel: Any, row: Any, column: Any) -> Any:
        return (block * BLOCK + channel) * channel_stride + row * row_stride + column * column_stride

    return address


def _blocks(layout: BlockLayout) -> _Address:
    def address(block: Any, channel: Any, row: Any, column: Any) -> Any:
        return ((block * layout.height + row) * layout.columns + column) * BLOCK + channel

    return address


def _move(
    name: str, tensor: QuantizedTensor, source: tuple[_Address, int], target: tuple[_Address, int]
) -> KernelCode:
    channels, height, width = tensor.extents

    def body(writer: KernelWriter) -> None:
        read, write = writer.buffer("uint8", source[1]), writer.buffer("uint8", target[1])

        def copy(block: Any, count: int) -> None:
            with T.serial(0, height) as row, T.serial(0, width) as column, T.serial(0, count) as channel:
                place = (block, channel, row, column)
                T.buffer_store(write, read[source[0](*place)], [target[0](*place)])

        if channels >= BLOCK:
            with T.serial(0, channels // BLOCK) as block:
                copy(block, BLOCK)
        if channels % BLOCK:
            copy(channels // BLOCK, channels % BLOCK)

    return write_kernel(name, body)


def transpose(source: QuantizedTensor, permutation: tuple[int, ...]) -> KernelCode:
    """The graph's order of the axes → another."""
    extents = [source.shape[axis] for axis in permutation]
    strides = [1] * len(extents)
    for axis in range(len(source.shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * source.shape[axis + 1]

    def body(writer: KernelWriter) -> None:
        read, write = (writer.buffer("uint8", source.elements) for _ in range(2))

        def loop(axis: int, from_byte: Any, to_byte: Any) -> None:
            if axis == len(extents):
                T.buffer_store(write, read[from_byte], [to_byte])
                return
            with T.serial(0, extents[axis]) as index:
                stepped = from_byte + index * strides[permutation[axis]]
                loop(axis + 1, stepped, to_byte * extents[axis] + index)

        loop(0, T.int32(0), T.int32(0))

    return write_kernel("transpose", body)


def pad(source: BlockLayout, target: BlockLayout, top: int, left: int, code: int) -> KernelCode:
    """Copies packed activations into the middle of a larger area.

    Args:
        source: Layout of the activations.
        target: Layout of the padded ones.
        top: Rows above.
        left: Columns to the left.
        code: What fills the rest.
    """

    def body(writer: KernelWriter) -> None:
        read, write = (writer.buffer("int32", layout.nbytes // 4) for layout in (source, target))
        with T.serial(0, target.nbytes // 128) as register:
            hvx.store(write, register * hvx.LANES, hvx.splat_byte(code))
        with T.serial(0, min(source.blocks, target.blocks)) as block, T.serial(0, source.height) as row:
            start = (block * source.height + row) * source.columns
            goal = (block * target.height + row + top) * target.columns + left
            _copy_row(read, write, start * _WORDS, goal * _WORDS, source.width)

    return write_kernel("pad", body)


def _copy_row(read: Any, write: Any, start: Any, goal: Any, width: int) -> None:
    """Whole registers, then the words of the columns that are left; columns that only fill up stay behind."""
    if width >= COLUMNS:
        with T.serial(0, width // COLUMNS) as register:
            step = register * hvx.LANES
            hvx.store(write, goal + step, hvx.load(read, start + step))
    rest = width % COLUMNS * _WORDS
    if rest:
        done = width // COLUMNS * hvx.LANES
        with T.serial(0, rest) as word:
            T.buffer_store(write, read[start + done + word], [goal + done + word])
