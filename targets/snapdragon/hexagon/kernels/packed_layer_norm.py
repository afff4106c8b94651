"""Layer normalisation on packed activations."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_rows import RowGroups, RowScale
from targets.snapdragon.hexagon.kernels.packed_scale import ChannelScale, declare_scale
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, BlockLayout, pack_channels


def packed_layer_norm(operation: LayerNorm) -> KernelCode:
    """Two passes over the channels: sums of codes and squares with `vrmpy`, then the result."""
    return write_kernel("layer_norm", _Body(operation).write)


class _Body:
    def __init__(self, operation: LayerNorm) -> None:
        self._operation = operation
        self._layout = BlockLayout(*operation.source.extents)
        self._rows = RowGroups(self._layout)

    def write(self, writer: KernelWriter) -> None:
        operation, size = self._operation, self._layout.nbytes // 4
        codes = writer.buffer("int32", size)
        mask = writer.words(self._rows.mask)
        scale = declare_scale(writer, operation.scale, self._layout.blocks)
        offset = writer.constant(pack_channels(operation.offset, self._layout.blocks, 0))
        result = writer.buffer("int32", size)
        total, squares = hvx.variable(), hvx.variable()
        scales = [RowScale.declare() for _ in range(self._rows.positions)]
        with self._rows.each() as word:
            for variable in (total, squares):
                hvx.put(variable, hvx.splat(0))
            with T.serial(0, self._rows.registers) as register:
                valid = hvx.load(codes, word(register)) & hvx.load(mask, register * hvx.LANES)
                hvx.put(total, hvx.dot_accumulate(hvx.get(total), valid, hvx.splat_byte(1)))
                hvx.put(squares, hvx.dot_unsigned_accumulate(hvx.get(squares), valid, valid))
            for variable in (total, squares):
                self._rows.reduce_words(variable)
            for position, row_scale in enumerate(scales):
                self._set_scale(row_scale, total, squares, position)
            with T.serial(0, self._rows.registers) as register:
                blocks = self._blocks(register)
                sums = [hvx.splat(self._rows.scalar(total, p)) for p in range(len(scales))]
                self._finish(codes, result, word(register), scales, sums, blocks, scale, offset)

    def _blocks(self, register: Any) -> list[Any]:
        """The block of each of the register's four parts."""
        if self._layout.single:
            return [register * COLUMNS + part for part in range(COLUMNS)]
        return [register] * COLUMNS

    def _set_scale(self, scale: RowScale, total: Any, squares: Any, position: int) -> None:
        operation = self._operation
        sums = [self._rows.scalar(variable, position) for variable in (total, squares)]
        count, epsilon = T.int32(operation.source.channels), T.int64(operation.scaled_epsilon)
        deviation = T.call_pure_extern("int32", "npuc_deviation", *sums, count, epsilon)
        scale.set(deviation, operation.base_shift)

    def _finish(
        self,
        codes: Any,
        result: Any,
        word: Any,
        scales: list[RowScale],
        sums: list[Any],
        blocks: list[Any],
        channel_scale: ChannelScale,
        offset: Any,
    ) -> None:
        operation, repeat = self._operation, COLUMNS // len(scales)
        count, shift = hvx.splat(operation.source.channels), hvx.splat(operation.deviation_shift)
        parts = zip(hvx.widen(hvx.load(codes, word)), scales * repeat, sums * repeat, blocks, strict=True)
        outputs = []
        for values, row_scale, total, block in parts:
            normal = row_scale.apply((values * count - total) << shift)
            outputs.append(channel_scale.apply(normal, block) + hvx.load(offset, block * BLOCK))
        hvx.store(result, word, hvx.narrow(outputs))
