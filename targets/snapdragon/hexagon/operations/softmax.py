"""Softmax over the channels, in integers."""

from __future__ import annotations

import dataclasses

import numpy as np

from exporter.errors import DiagnosticError
from exporter.program import Array
from targets.errors import TargetError
from targets.snapdragon.hexagon.operations.row_arithmetic import MAX_CHANNELS, reciprocal, scale_rows
from targets.snapdragon.hexagon.tensor import LEVELS, QuantizedTensor, as_codes

EXPONENTIAL_BITS = 14
"""The largest exponential of a row, that of its largest element, is 2^14."""

VALUE_SHIFT = 10
"""Exponentials are scaled up by 2^10 before the row's multiplier, for precision."""

OUTPUT_STEPS = 256
"""The output has the fixed scale 1/256 and zero point 0, as softmax has in TFLite and on HTP."""

BASE_SHIFT = VALUE_SHIFT + 14 - 8
"""Right shift of the product for a row's sum with `normalizing_shift` 0: 2^(10 + 14) over 256 steps."""


@dataclasses.dataclass(frozen=True, eq=False)
class Softmax:
    """p = e[max − code] / Σ e, where e[d] = round(2^14 · exp(−scale · d)) is a table.

    With (r, s) = reciprocal(Σ e): code = clamp((e · 2^10 · r · 2^14 + half) >> (31 + 16 + s)).

    Attributes:
        name: Of the node.
        source: Input.
        output: Result, with scale 1/256 and zero point 0.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor

    def __post_init__(self) -> None:
        """Checks the output's fixed scale and the row's length.

        Raises:
            TargetError: One is outside the kernel's range.
        """
        if self.output.zero_point != 0 or abs(self.output.scale * OUTPUT_STEPS - 1) > 1e-6:
            raise self._refused(f"output scale {self.output.scale:g}, zero point {self.output.zero_point}")
        if self.source.channels > MAX_CHANNELS // 2:
            raise self._refused(f"{self.source.channels} classes")

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

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
        result = scale_rows(exponentials << VALUE_SHIFT, inverse, BASE_SHIFT + shift)
        return as_codes(result)

    def _refused(self, received: str) -> DiagnosticError:
        return TargetError(
            "the integer softmax does not take this",
            where=self.name,
            received=received,
            remedy=f"quantise the output with scale 1/256 and zero point 0; at most {MAX_CHANNELS // 2} classes",
        )
