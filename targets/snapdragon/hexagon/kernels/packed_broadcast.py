"""Repeats packed activations along columns, rows and channels."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from program.program import Array
from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, BlockLayout

_CHANNEL_DISTANCES = (1, 2, 4, 8, 16)
_COLUMN_DISTANCES = (BLOCK, 2 * BLOCK)


def packed_broadcast(operation: Broadcast) -> KernelCode:
    """Keeps the bytes of a register that are repeated, and spreads them by exchanges over ever larger distances."""
    return write_kernel("broadcast", _Body(operation).write)


class _Body:
    def __init__(self, operation: Broadcast) -> None:
        self._source = BlockLayout(*operation.source.extents)
        self._output = BlockLayout(*operation.output.extents)
        self._columns = self._source.single or self._source.width < self._output.width
        self._channels = self._source.channels < self._output.channels
        # the quarters of a single position are blocks, and the same block goes to every column
        self._quarters = COLUMNS if self._source.single and not self._channels else 1

    def write(self, writer: KernelWriter) -> None:
        source, output = self._source, self._output
        codes = writer.buffer("int32", source.nbytes // 4)
        kept = writer.words(self._kept())
        result = writer.buffer("int32", output.nbytes // 4)
        blocks = output.blocks // COLUMNS if output.single else output.blocks
        registers = 1 if output.single else output.columns // COLUMNS
        with (
            T.serial(0, blocks) as block,
            T.serial(0, output.height) as row,
            T.serial(0, registers) as column,
        ):
            mask = hvx.load(kept, T.floormod(block, self._quarters) * hvx.LANES)
            spread = hvx.load(codes, self._register(block, row, column) * hvx.LANES) & mask
            for distance in self._distances():
                spread = spread | hvx.exchange(spread, distance)
            hvx.store(result, ((block * output.height + row) * registers + column) * hvx.LANES, spread)

    def _register(self, block: Any, row: Any, column: Any) -> Any:
        source = self._source
        if source.single:
            return 0 if self._channels else T.floordiv(block, COLUMNS)
        y = row if source.height > 1 else 0
        x = 0 if self._columns else column
        return ((0 if self._channels else block) * source.height + y) * (source.columns // COLUMNS) + x

    def _distances(self) -> tuple[int, ...]:
        channels = _CHANNEL_DISTANCES if self._channels else ()
        return channels + (_COLUMN_DISTANCES if self._columns else ())

    def _kept(self) -> Array:
        """uint8 [quarters, 4, 32]: 255 where a byte is repeated or stays where it is."""
        kept = np.full((self._quarters, COLUMNS, BLOCK), 255, np.uint8)
        if self._channels:
            kept[:, :, 1:] = 0
        if self._columns:
            kept *= np.eye(COLUMNS, dtype=np.uint8)[: self._quarters, :, None]
        return kept
