"""Softmax on packed activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_rows import RowGroups, RowScale
from targets.snapdragon.hexagon.kernels.packed_scale import scaled_equally
from targets.snapdragon.hexagon.kernels.writer import KernelCode, KernelWriter, write_kernel
from targets.snapdragon.hexagon.operations.softmax import BASE_SHIFT, VALUE_SHIFT, Softmax
from targets.snapdragon.hexagon.program.layout import COLUMNS, BlockLayout


def packed_softmax(operation: Softmax) -> KernelCode:
    """Three passes over the channels: maximum, sum of exponentials, result."""
    return write_kernel("softmax", _Body(operation).write)


class _Body:
    def __init__(self, operation: Softmax) -> None:
        self._operation = operation
        self._layout = BlockLayout(*operation.source.extents)
        self._rows = RowGroups(self._layout)
        table = operation.exponentials
        self._bytes = [hvx.lookup_registers((table >> shift & 255).astype(np.uint8)) for shift in (0, 8)]

    def write(self, writer: KernelWriter) -> None:
        size = self._layout.nbytes // 4
        codes = writer.buffer("int32", size)
        self._mask = writer.words(self._rows.mask)
        self._tables = writer.words(np.concatenate(self._bytes))
        result = writer.buffer("int32", size)
        largest, low, high = (hvx.variable() for _ in range(3))
        scales = [RowScale.declare() for _ in range(self._rows.positions)]
        with self._rows.each() as word:
            hvx.put(largest, hvx.splat(0))
            with T.serial(0, self._rows.registers) as register:
                valid = hvx.load(codes, word(register)) & self._valid(register)
                hvx.put(largest, hvx.max_bytes(hvx.get(largest), valid))
            self._rows.reduce_max(largest)
            self._sum(codes, largest, low, high, word)
            for position, scale in enumerate(scales):
                scale.set(self._rows.scalar(low, position), BASE_SHIFT)
            with T.serial(0, self._rows.registers) as register:
                self._finish(codes, result, largest, scales, word(register))

    def _valid(self, register: Any) -> Any:
        return hvx.load(self._mask, register * hvx.LANES)

    def _exponential(self, codes: Any, largest: Any, word: Any, part: int) -> Any:
        """The low (0) or high (1) bytes of the exponentials."""
        tables = [hvx.load(self._tables, (2 * part + half) * hvx.LANES) for half in range(2)]
        return hvx.lookup(hvx.subtract_bytes(hvx.get(largest), hvx.load(codes, word)), tables)

    def _sum(self, codes: Any, largest: Any, low: Any, high: Any, word: Any) -> None:
        for total in (low, high):
            hvx.put(total, hvx.splat(0))
        with T.serial(0, self._rows.registers) as register:
            for part, total in enumerate((low, high)):
                valid = self._exponential(codes, largest, word(register), part) & self._valid(register)
                hvx.put(total, hvx.dot_accumulate(hvx.get(total), valid, hvx.splat_byte(1)))
        hvx.put(low, hvx.get(low) + (hvx.get(high) << hvx.splat(8)))
        self._rows.reduce_words(low)

    def _finish(self, codes: Any, result: Any, largest: Any, scales: list[RowScale], word: Any) -> None:
        low, high = (hvx.widen(self._exponential(codes, largest, word, part)) for part in range(2))
        exponentials = [first + (second << hvx.splat(8)) for first, second in zip(low, high, strict=True)]
        spread = scales * (COLUMNS // len(scales))
        zero_point = hvx.splat(self._operation.output.zero_point)
        results = [
            scaled_equally(scale.apply(value << hvx.splat(VALUE_SHIFT)), self._operation.scale) + zero_point
            for scale, value in zip(spread, exponentials, strict=True)
        ]
        hvx.store(result, word, hvx.narrow(results))
