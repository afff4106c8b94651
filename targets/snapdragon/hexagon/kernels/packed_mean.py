"""Mean over all positions, on packed activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from program.program import Array
from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_scale import declare_scale
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, BlockLayout


def packed_mean(operation: Mean) -> KernelCode:
    """Adds the four columns of every register in four accumulators, for four blocks at a time."""
    layout, output = BlockLayout(*operation.source.extents), BlockLayout(*operation.output.extents)

    def body(writer: KernelWriter) -> None:
        codes = writer.buffer("int32", layout.nbytes // 4)
        mask = writer.words(_column_mask(layout))
        scale = declare_scale(writer, operation.scale, output.blocks)
        result = writer.buffer("int32", output.nbytes // 4)
        totals = [[hvx.variable() for _ in range(COLUMNS)] for _ in range(COLUMNS)]
        start = -operation.positions * operation.source.zero_point
        for group in range(output.blocks // COLUMNS):
            blocks = [group * COLUMNS + part for part in range(COLUMNS)]
            if layout.single:
                sums = hvx.widen(hvx.load(codes, group * hvx.LANES))
            else:
                sums = [_sum(layout, codes, mask, b, parts) for b, parts in zip(blocks, totals, strict=True)]
            means = [
                scale.apply(total + hvx.splat(start), block) + hvx.splat(operation.output.zero_point)
                for total, block in zip(sums, blocks, strict=True)
            ]
            hvx.store(result, group * hvx.LANES, hvx.narrow(means))

    return write_kernel("mean", body)


def _column_mask(layout: BlockLayout) -> Array:
    """uint8 [registers of a row, 4, 32]: 0 in columns that only fill up the row."""
    valid = np.arange(layout.columns) < layout.width
    return np.repeat(np.where(valid, 255, 0).astype(np.uint8), BLOCK)


def _sum(layout: BlockLayout, codes: Any, mask: Any, block: int, parts: list[Any]) -> Any:
    for part in parts:
        hvx.put(part, hvx.splat(0))
    if block < layout.blocks:
        registers = layout.columns // COLUMNS
        with T.serial(0, layout.height) as row, T.serial(0, registers) as column:
            word = ((block * layout.height + row) * registers + column) * hvx.LANES
            valid = hvx.load(codes, word) & hvx.load(mask, column * hvx.LANES)
            for part, words in zip(parts, hvx.widen(valid), strict=True):
                hvx.put(part, hvx.get(part) + words)
    first, second, third, fourth = (hvx.get(part) for part in parts)
    return first + second + third + fourth
