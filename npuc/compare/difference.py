"""How far two sets of outputs are apart, output by output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from exporter.program import Array
from targets.agreement import parts


@dataclasses.dataclass(frozen=True)
class Difference:
    """Of one output.

    Attributes:
        absolute: Largest difference of finite values; infinity where integers, bools, or places of values that are not
            finite differ.
        scale: Largest finite magnitude of the expected values.
    """

    absolute: float
    scale: float

    def relative(self, least_scale: float = 0.0) -> float:
        """Returns the difference over the scale, or over a larger one; infinity where there is no scale."""
        scale = max(self.scale, least_scale)
        if self.absolute == 0:
            return 0.0
        return self.absolute / scale if scale > 0 else math.inf


def differences(expected: Mapping[str, Array], actual: Mapping[str, Array]) -> dict[str, Difference]:
    """Compares outputs by name.

    Args:
        expected: The reference.
        actual: As many outputs, of the same names.
    """
    return {name: _difference(value, actual[name]) for name, value in expected.items()}


def _difference(expected: Array, actual: Array) -> Difference:
    if expected.shape != actual.shape:
        return Difference(math.inf, 0.0)
    if expected.dtype.kind in "biu":
        return Difference(0.0 if np.array_equal(expected, actual) else math.inf, 1.0)
    wide, other = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(wide)
    scale = float(np.abs(wide[finite]).max(initial=0.0))
    same = np.array_equal(wide[~finite], other[~finite], equal_nan=True) and np.isfinite(other[finite]).all()
    if not same:
        return Difference(math.inf, scale)
    apart = [
        Difference(float(np.abs(left - right).max(initial=0.0)), float(np.abs(left).max(initial=0.0)))
        for left, right in parts(wide[finite], other[finite])
    ]
    return max(apart, key=Difference.relative)
