"""Reductions over the channels of each position, on packed activations.

A register holds four positions of one block, or four blocks of a single position. Sums and maxima are exchanged inside
a position's bytes until each of its lanes holds the whole result.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from tvm.script.ir_builder import tirx as T

from program.program import Array
from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.packed_scale import scaled
from targets.snapdragon.hexagon.operations.row_arithmetic import RECIPROCAL_BITS
from targets.snapdragon.hexagon.program.layout import BLOCK, COLUMNS, DEPTH, BlockLayout

_REGISTER_BYTES = 4 * hvx.LANES


@dataclasses.dataclass(frozen=True)
class RowGroups:
    """Which registers belong to the same positions.

    Attributes:
        layout: Of the activations.
    """

    layout: BlockLayout

    @property
    def positions(self) -> int:
        """Positions that share a register."""
        return 1 if self.layout.single else COLUMNS

    @property
    def registers(self) -> int:
        """Registers that hold all channels of a group of positions."""
        return self.layout.blocks // (COLUMNS if self.layout.single else 1)

    @property
    def mask(self) -> Array:
        """uint8 [registers, 128]: 255 where there is a channel, 0 where a block is only filled up."""
        lanes = _REGISTER_BYTES // self.positions
        valid = np.arange(self.registers * lanes).reshape(self.registers, 1, lanes) < self.layout.channels
        full = np.broadcast_to(valid, (self.registers, self.positions, lanes))
        return np.where(full, 255, 0).astype(np.uint8).reshape(self.registers, _REGISTER_BYTES)

    @contextlib.contextmanager
    def each(self) -> Iterator[Callable[[Any], Any]]:
        """Loops over the groups; gives the function from a register's number in its group to its first word."""
        layout = self.layout
        if layout.single:
            yield lambda register: register * hvx.LANES
            return
        row_registers = layout.columns // COLUMNS
        with T.serial(0, layout.height) as row, T.serial(0, row_registers) as column:
            yield lambda register: ((register * layout.height + row) * row_registers + column) * hvx.LANES

    def reduce_words(self, variable: Any) -> None:
        """Every word becomes the sum of its position's words."""
        for distance in self._distances(smallest=4):
            hvx.put(variable, hvx.get(variable) + hvx.exchange(hvx.get(variable), distance))

    def reduce_max(self, variable: Any) -> None:
        """Every byte becomes the largest of its position's bytes."""
        for distance in self._distances(smallest=1):
            hvx.put(variable, hvx.max_bytes(hvx.get(variable), hvx.exchange(hvx.get(variable), distance)))

    def _distances(self, smallest: int) -> list[int]:
        distance, distances = smallest, []
        while distance < _REGISTER_BYTES // self.positions:
            distances.append(distance)
            distance *= 2
        return distances

    def scalar(self, variable: Any, position: int) -> Any:
        """The reduced word of a position."""
        return hvx.word_of(hvx.get(variable), position * BLOCK // DEPTH)


@dataclasses.dataclass(frozen=True, eq=False)
class RowScale:
    """`scale_rows` of one position: local scalars with its multiplier and right shift."""

    multiplier: Any
    shift: Any

    @classmethod
    def declare(cls) -> RowScale:
        """Makes the variables."""
        return cls(T.alloc_buffer((1,), "int32"), T.alloc_buffer((1,), "int32"))

    def set(self, value: Any, base_shift: int) -> None:
        """From the value the row is divided by."""
        inverse = T.call_pure_extern("int32", "npuc_reciprocal", value)
        T.buffer_store(self.multiplier, inverse << RECIPROCAL_BITS, [0])
        shift = T.call_pure_extern("int32", "npuc_normalizing_shift", value) + base_shift
        T.buffer_store(self.shift, T.max(shift, T.int32(1)), [0])

    def apply(self, words: Any) -> Any:
        """Scales a register."""
        shift = self.shift[0]
        rounding = hvx.splat(T.int32(1) << (shift - 1))
        return scaled(words, hvx.splat(self.multiplier[0]), rounding, hvx.splat(shift), 0)
