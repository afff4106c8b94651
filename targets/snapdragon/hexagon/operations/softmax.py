"""Softmax over the channels, in integers."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.errors import TargetError
from targets.snapdragon.hexagon.operations.row_arithmetic import (
    MAX_CHANNELS,
    RECIPROCAL_BITS,
    reciprocal,
    scale_rows,
)
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes

EXPONENTIAL_BITS = 14
"""The largest exponential of a row, that of its largest element, is 2^14."""

VALUE_SHIFT = 10
"""Exponentials are scaled up by 2^10 before the row's multiplier, for precision."""

PROBABILITY_BITS = 16
"""Probabilities carry sixteen fraction bits before they are rounded to codes."""

BASE_SHIFT = VALUE_SHIFT + RECIPROCAL_BITS - PROBABILITY_BITS
"""Right shift of the product for a row's sum with `normalizing_shift` 0."""


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax:
    """p = e[max − code] / Σ e, where e[d] = round(2^14 · exp(−scale · d)) is a table.

    With (r, s) = reciprocal(Σ e): p · 2^16 = (e · 2^10 · r · 2^14 + half) >> (31 + 8 + s), and
    code = clamp(zero_point + scaled(p · 2^16)).

    Attributes:
        name: Of the node.
        source: Input.
        output: Result.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            TargetError: There are too many classes, or the output's scale is too small.
        """
        if self.source.channels > MAX_CHANNELS // 2:
            raise TargetError(
                "the integer softmax does not take this row",
                where=self.name,
                received=f"{self.source.channels} classes",
                remedy=f"use at most {MAX_CHANNELS // 2} classes, or run the node elsewhere",
            )
        self.scale.require_headroom(1 << PROBABILITY_BITS, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def scale(self) -> FixedPointScale:
        """One over the output scale, for values with `PROBABILITY_BITS` fraction bits."""
        return fixed_point_scale([1 / (self.output.scale * (1 << PROBABILITY_BITS))])

    @property
    def exponentials(self) -> Array:
        """int64 [256]: the table e."""
        distance = np.arange(LEVELS + 1, dtype=np.float64) * self.source.scale
        table: Array = np.rint((1 << EXPONENTIAL_BITS) * np.exp(-distance)).astype(np.int64)
        return table

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        (codes,) = planes
        distance = codes.max(axis=0, keepdims=True) - codes
        exponentials = self.exponentials[distance]
        pairs = np.asarray([reciprocal(int(total)) for total in exponentials.sum(axis=0).reshape(-1)])
        inverse, shift = (pairs[:, i].reshape(codes.shape[1:]) for i in range(2))
        probabilities = scale_rows(exponentials << VALUE_SHIFT, inverse, BASE_SHIFT + shift)
        result = self.scale.apply(probabilities) + self.output.zero_point
        return as_codes(result)
