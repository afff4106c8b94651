"""Max pooling on packed activations: 128 codes an instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from program.program import Array
from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, DEPTH, BlockLayout

_WORDS = BLOCK // DEPTH
"""Words of a pixel's block."""


def packed_max_pool(operation: MaxPool, source: BlockLayout) -> KernelCode:
    """The kernel for an input that is already padded.

    Args:
        operation: What it computes.
        source: Layout of the padded input, wide enough for the columns that fill up the output's rows.
    """
    single = BlockLayout(*operation.output.extents).single
    return write_kernel(
        "max_pool", lambda writer: (_one_position if single else _positions)(writer, operation, source)
    )


def slot_masks() -> Array:
    """uint8 [4, 128]: mask c keeps the c-th quarter of a register."""
    return np.repeat(np.eye(COLUMNS, dtype=np.uint8) * 255, BLOCK, axis=1)


def _positions(writer: KernelWriter, operation: MaxPool, source: BlockLayout) -> None:
    """Four output columns a register: each window's pixels are loaded so that they lie in their column's quarter."""
    output, (rows, columns) = BlockLayout(*operation.output.extents), operation.kernel
    step = operation.strides[1]
    codes = writer.buffer("int32", source.nbytes // 4)
    masks = writer.words(slot_masks())
    result = writer.buffer("int32", output.nbytes // 4)
    # neighbouring columns are neighbours in memory where the stride is 1: one load has all four
    slots = [hvx.variable() for _ in range(1 if step == 1 else COLUMNS)]
    with (
        T.serial(0, output.blocks) as block,
        T.serial(0, output.height) as row,
        T.serial(0, output.columns // COLUMNS) as register,
    ):
        for slot in slots:
            hvx.put(slot, hvx.splat(0))
        with T.serial(0, rows) as kernel_row, T.serial(0, columns) as kernel_column:
            y = row * operation.strides[0] + kernel_row * operation.dilations[0]
            x = register * COLUMNS * step + kernel_column * operation.dilations[1]
            pixel = (block * source.height + y) * source.columns + x
            for index, slot in enumerate(slots):
                shifted = hvx.load(codes, (pixel + index * (step - 1)) * _WORDS)
                hvx.put(slot, hvx.max_bytes(hvx.get(slot), shifted))
        place = ((block * output.height + row) * output.columns + register * COLUMNS) * _WORDS
        hvx.store(result, place, hvx.get(slots[0]) if step == 1 else _merged(slots, masks))


def _merged(slots: list[Any], masks: Any) -> Any:
    first, *others = (hvx.get(slot) & hvx.load(masks, index * hvx.LANES) for index, slot in enumerate(slots))
    for other in others:
        first = first | other
    return first


def _one_position(writer: KernelWriter, operation: MaxPool, source: BlockLayout) -> None:
    """Four blocks a register: the window's columns are masked, their maximum is folded over the quarters."""
    output, (rows, columns) = BlockLayout(*operation.output.extents), operation.kernel
    registers = source.columns // COLUMNS
    codes = writer.buffer("int32", source.nbytes // 4)
    window = np.zeros((source.columns, BLOCK), np.uint8)
    window[: (columns - 1) * operation.dilations[1] + 1 : operation.dilations[1]] = 255
    inside, masks = writer.words(window), writer.words(slot_masks())
    result = writer.buffer("int32", output.nbytes // 4)
    slots = [hvx.variable() for _ in range(COLUMNS)]
    for group in range(output.blocks // COLUMNS):
        for index, slot in enumerate(slots):
            hvx.put(slot, hvx.splat(0))
            block = group * COLUMNS + index
            if block < source.blocks:
                with T.serial(0, rows) as row, T.serial(0, registers) as register:
                    start = (block * source.height + row * operation.dilations[0]) * registers
                    valid = hvx.load(codes, (start + register) * hvx.LANES) & hvx.load(
                        inside, register * hvx.LANES
                    )
                    hvx.put(slot, hvx.max_bytes(hvx.get(slot), valid))
            for distance in (BLOCK, 2 * BLOCK):
                hvx.put(slot, hvx.max_bytes(hvx.get(slot), hvx.exchange(hvx.get(slot), distance)))
        hvx.store(result, group * hvx.LANES, _merged(slots, masks))
