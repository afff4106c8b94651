"""How far two sets of outputs are apart, output by output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from program.agreement import finite_values
from program.program import Array
from program.quantities import NO_JOINTS, Joints, quantities


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


def differences(
    expected: Mapping[str, Array],
    actual: Mapping[str, Array],
    joints: Mapping[str, Joints] = MappingProxyType({}),
) -> dict[str, Difference]:
    """Compares outputs by name.

    Args:
        expected: The reference.
        actual: As many outputs, of the same names.
        joints: Where outputs are joined of unlike tensors.

    Returns:
        By output, of the quantity in it that differs most.
    """
    return {
        name: _difference(value, actual[name], joints.get(name, NO_JOINTS))
        for name, value in expected.items()
    }


def _difference(expected: Array, actual: Array, joints: Joints) -> Difference:
    if expected.shape != actual.shape:
        return Difference(math.inf, 0.0)
    if expected.dtype.kind in "biu":
        return Difference(0.0 if np.array_equal(expected, actual) else math.inf, 1.0)
    finite = finite_values(expected, actual)
    if finite is None:
        wide = expected.astype(np.float64)
        return Difference(math.inf, float(np.abs(wide[np.isfinite(wide)]).max(initial=0.0)))
    apart = [
        Difference(float(np.abs(left - right).max(initial=0.0)), float(np.abs(left).max(initial=0.0)))
        for left, right in quantities(*finite, joints)
    ]
    return max(apart, key=Difference.relative)
