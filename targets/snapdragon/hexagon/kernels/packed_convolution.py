"""Convolution on packed activations and weights with `vrmpy`."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from program.program import Array
from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_scale import ChannelScale, declare_scale
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.program.layout import (
    BLOCK,
    COLUMNS,
    DEPTH,
    BlockLayout,
    is_block_diagonal,
    pack_channels,
    pack_diagonal_weights,
    pack_weights,
)

_Sums = list[list[Any]]
"""Accumulators by block and column of the tile."""

_WORDS = BLOCK // DEPTH
"""Words of a pixel's block: four channels each."""


def packed_convolution(operation: Convolution, source: BlockLayout) -> KernelCode:
    """The kernel for an input that is already padded.

    Args:
        operation: What it computes.
        source: Layout of the padded input, wide enough for the columns that fill up the output's rows.
    """
    return write_kernel("convolution", _Body(operation, source).write)


class _Body:
    """A tile of accumulators stays in registers: four columns of up to four blocks, or four blocks of one position.

    Where each block of outputs reads its own block of inputs alone, the others are left out.
    """

    def __init__(self, operation: Convolution, source: BlockLayout) -> None:
        self._operation = operation
        self._source = source
        self._output = BlockLayout(*operation.output.extents)
        self._columns = 1 if self._output.single else COLUMNS
        self._diagonal = not self._output.single and is_block_diagonal(operation.dense_weights)
        self._blocks = 1 if self._diagonal else next(n for n in (4, 2, 1) if self._output.blocks % n == 0)
        self._depth = 1 if self._diagonal else source.blocks

    def write(self, writer: KernelWriter) -> None:
        operation, blocks = self._operation, self._output.blocks
        codes = writer.buffer("int32", self._source.nbytes // 4)
        weights = writer.words(self._packed_weights())
        bias = writer.constant(pack_channels(operation.bias, blocks, 0))
        scale = declare_scale(writer, operation.scale, blocks)
        result = writer.buffer("int32", self._output.nbytes // 4)
        sums = [[hvx.variable() for _ in range(self._columns)] for _ in range(self._blocks)]
        with (
            T.serial(0, blocks // self._blocks) as group,
            T.serial(0, self._output.height) as row,
            T.serial(0, self._output.columns // self._columns) as column,
        ):
            self._start(sums, bias, group)
            self._accumulate(sums, codes, weights, group, row, column)
            self._finish(sums, result, scale, group, row, column)

    def _packed_weights(self) -> Array:
        weights, blocks = self._operation.dense_weights, self._output.blocks
        if self._diagonal:
            return pack_diagonal_weights(weights, blocks)
        return pack_weights(weights, self._source.blocks, blocks)

    def _start(self, sums: _Sums, bias: Any, group: Any) -> None:
        for block, columns in enumerate(sums):
            for total in columns:
                hvx.put(total, hvx.load(bias, (group * self._blocks + block) * BLOCK))

    def _accumulate(self, sums: _Sums, codes: Any, weights: Any, group: Any, row: Any, column: Any) -> None:
        rows, columns = self._operation.kernel
        with (
            T.serial(0, rows) as kernel_row,
            T.serial(0, columns) as kernel_column,
            T.serial(0, self._depth) as depth,
            T.serial(0, _WORDS) as word,
        ):
            tap = (kernel_row * columns + kernel_column) * self._depth + depth
            block = group if self._diagonal else depth
            pixels = [
                self._pixel(block, row, column * self._columns + c, kernel_row, kernel_column)
                for c in range(self._columns)
            ]
            self._multiply(sums, codes, weights, group, tap * _WORDS + word, pixels, word)

    def _multiply(
        self, sums: _Sums, codes: Any, weights: Any, group: Any, tap: Any, pixels: list[Any], word: Any
    ) -> None:
        taps = self._operation.kernel[0] * self._operation.kernel[1] * self._depth * _WORDS
        for block in range(self._blocks):
            weight = hvx.load(weights, ((group * self._blocks + block) * taps + tap) * BLOCK)
            for total, pixel in zip(sums[block], pixels, strict=True):
                code = hvx.splat(codes[pixel * _WORDS + word])
                hvx.put(total, hvx.dot_accumulate(hvx.get(total), code, weight))

    def _pixel(self, block: Any, row: Any, column: Any, kernel_row: Any, kernel_column: Any) -> Any:
        operation = self._operation
        y = row * operation.strides[0] + kernel_row * operation.dilations[0]
        x = column * operation.strides[1] + kernel_column * operation.dilations[1]
        return (block * self._source.height + y) * self._source.columns + x

    def _finish(
        self, sums: _Sums, result: Any, scale: ChannelScale, group: Any, row: Any, column: Any
    ) -> None:
        output = self._output
        codes = [self._codes(hvx.get(t), scale, group, b) for b, totals in enumerate(sums) for t in totals]
        for start in range(0, len(codes), COLUMNS):
            block = group * self._blocks + start // self._columns
            pixel = (block * output.height + row) * output.columns + column * self._columns
            hvx.store(result, pixel * _WORDS, hvx.narrow(codes[start : start + COLUMNS]))

    def _codes(self, total: Any, scale: ChannelScale, group: Any, block: int) -> Any:
        codes = scale.apply(total, group * self._blocks + block) + hvx.splat(
            self._operation.output.zero_point
        )
        minimum = self._operation.minimum
        return T.max(codes, hvx.splat(minimum)) if minimum else codes
