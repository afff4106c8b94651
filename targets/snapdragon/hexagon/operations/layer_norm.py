"""Layer normalisation over the channels, in integers."""

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
    square_root,
)
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes

NORMAL_BITS = 10
"""Normalised values carry ten fraction bits."""

DEVIATION_BITS = 28
"""Deviations are scaled up to this many bits before the row's multiplier."""


@dataclasses.dataclass(frozen=True, eq=False)
class LayerNorm:
    """With n channels: d = n · code − Σ code, R = ⌊√(n · Σ code² − (Σ code)² + ε)⌋, normal = d / R in 2^−10.

    code = clamp(offset + scaled(normal)), where `offset` holds β and the zero point and `scale` holds γ. The input's
    scale and zero point cancel, except that they scale ε.

    Attributes:
        name: Of the node.
        source: Input.
        output: Result.
        gain: float64 [channels], γ.
        shift: float64 [channels], β.
        epsilon: Added to the variance, in real units.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    gain: Array
    shift: Array
    epsilon: float

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            TargetError: A row is too long, a gain too large, or epsilon out of proportion.
        """
        if not 1 < self.source.channels <= MAX_CHANNELS:
            raise TargetError(
                "the integer layer norm does not take this row",
                where=self.name,
                received=f"{self.source.channels} channels",
                remedy=f"normalise over 2 to {MAX_CHANNELS} channels",
            )
        if self.scaled_epsilon > (LEVELS * self.source.channels) ** 2:
            raise TargetError(
                "the epsilon of a layer norm is larger than any variance of its input",
                where=self.name,
                received=f"{self.epsilon:g} at scale {self.source.scale:g}",
                remedy="calibrate the input's scale again",
            )
        largest = int(np.ceil(np.sqrt(self.source.channels))) << NORMAL_BITS
        self.scale.require_headroom(largest, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def scale(self) -> FixedPointScale:
        """γ over the output scale, for values with `NORMAL_BITS` fraction bits."""
        return fixed_point_scale(self.gain / (self.output.scale * (1 << NORMAL_BITS)))

    @property
    def offset(self) -> Array:
        """int32 [channels]: β in output steps plus the zero point."""
        return (np.rint(self.shift / self.output.scale) + self.output.zero_point).astype(np.int32)

    @property
    def scaled_epsilon(self) -> int:
        """ε in units of the integer variance n² · var."""
        n = self.source.channels
        return round(self.epsilon * n * n / self.source.scale**2)

    @property
    def deviation_shift(self) -> int:
        """Left shift that brings |d| ≤ 255 · n just below 2^28."""
        return DEVIATION_BITS - (LEVELS * self.source.channels).bit_length()

    @property
    def base_shift(self) -> int:
        """Right shift of the product for a row with `normalizing_shift` 0."""
        return self.deviation_shift + RECIPROCAL_BITS - NORMAL_BITS

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        codes = planes[0].astype(np.int64)
        n, total = self.source.channels, codes.sum(axis=0)
        variance = n * np.square(codes).sum(axis=0) - np.square(total) + self.scaled_epsilon
        pairs = np.asarray([reciprocal(max(square_root(int(v)), 1)) for v in variance.reshape(-1)])
        inverse, shift = (pairs[:, i].reshape(total.shape) for i in range(2))
        # a row of equal codes has d = 0: its shift does not matter, but must be one the kernel can do
        right_shift = np.maximum(self.base_shift + shift, 1)
        normal = scale_rows((n * codes - total) << self.deviation_shift, inverse, right_shift)
        result = self.scale.apply(normal) + self.offset[:, None, None]
        return as_codes(result)
