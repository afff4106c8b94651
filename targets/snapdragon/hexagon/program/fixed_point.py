"""Multiplication by a real number in integers: the requantisation of every kernel.

A real factor r is stored as (multiplier m, right shift s, left shift l) with r ≈ m · 2^(l − 31 − s), and

    scaled(x) = (x · 2^l · m + 2^(30 + s)) >> (31 + s)        (>> rounds towards minus infinity)

This is `MultiplyByQuantizedMultiplier` of TensorFlow Lite (tensorflow/lite/kernels/internal/common.cc) with
`TFLITE_SINGLE_ROUNDING`: one rounding, halves upwards. The mantissa and exponent come from `QuantizeMultiplier`
(quantization_util.cc). The scheme is that of Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", 2018, section 2.2.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from program.program import Array
from targets.errors import TargetError

MULTIPLIER_BITS = 31
MAX_SHIFT = 31
MAX_EXPONENT = 20
HEADROOM = 1 << 30
"""Every scaled integer stays below this magnitude, so that adding the rounding term cannot overflow 32 bits."""


@dataclasses.dataclass(frozen=True)
class FixedPointScale:
    """Real factors, one a channel or one for all.

    Attributes:
        multiplier: int32 [n].
        right_shift: int32 [n], 1 to 31.
        left_shift: For all channels, 0 or more.
    """

    multiplier: Array
    right_shift: Array
    left_shift: int

    @property
    def rounding(self) -> Array:
        """int32 [n]: half of the last place, added before the right shift."""
        half: Array = np.left_shift(1, self.right_shift - 1).astype(np.int32)
        return half

    def apply(self, values: Array) -> Array:
        """Multiplies integers [n, …] by the factors along the first axis; exact in 64 bits.

        Returns:
            int64, of the shape of `values`.
        """
        shape = (-1, *[1] * (values.ndim - 1))
        multiplier = self.multiplier.astype(np.int64).reshape(shape)
        shift = self.right_shift.astype(np.int64).reshape(shape) + MULTIPLIER_BITS
        product = (values.astype(np.int64) << self.left_shift) * multiplier
        scaled: Array = np.right_shift(product + np.left_shift(np.int64(1), shift - 1), shift)
        return scaled

    def require_headroom(self, magnitude: int, where: str) -> None:
        """Checks that 32 bits are enough for values up to `magnitude`.

        Raises:
            TargetError: They are not.
        """
        if magnitude << self.left_shift >= HEADROOM:
            raise TargetError(
                "the sums of an integer kernel may overflow 32 bits",
                where=where,
                received=f"magnitudes up to {magnitude << self.left_shift}",
                remedy="use a larger output scale, or run the node elsewhere",
            )


def fixed_point_scale(factors: Sequence[float] | Array) -> FixedPointScale:
    """Stores real factors of either sign, smaller than 2^20 in magnitude.

    Raises:
        TargetError: A factor is too large or not finite.
    """
    values = np.atleast_1d(np.asarray(factors, np.float64))
    if not np.isfinite(values).all() or np.abs(values).max() >= 1 << MAX_EXPONENT:
        raise TargetError("a requantisation factor is out of range", received=f"{np.abs(values).max():g}")
    parts = [_mantissa_and_exponent(float(value)) for value in values]
    left_shift = max(0, 1 + max(exponent for _, exponent in parts))
    multipliers, shifts = [], []
    for mantissa, exponent in parts:
        shift = left_shift - exponent
        excess = max(shift - MAX_SHIFT, 0)
        multipliers.append(mantissa >> min(excess, MULTIPLIER_BITS))
        shifts.append(shift - excess)
    return FixedPointScale(np.asarray(multipliers, np.int32), np.asarray(shifts, np.int32), left_shift)


def _mantissa_and_exponent(value: float) -> tuple[int, int]:
    """(m, e) with value ≈ m · 2^(e − 31) and 2^30 ≤ |m| < 2^31; zero is (0, −1)."""
    if value == 0.0:
        return 0, -1
    fraction, exponent = math.frexp(value)
    mantissa = round(fraction * (1 << MULTIPLIER_BITS))
    if abs(mantissa) == 1 << MULTIPLIER_BITS:
        return mantissa // 2, exponent + 1
    return mantissa, exponent
