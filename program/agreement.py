"""How it is measured how closely a lowered component agrees with the ONNX Runtime reference."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from program.program import Array
from program.quantities import NO_JOINTS, Joints, quantities


def relative_error(reference: Array, actual: Array, joints: Joints = NO_JOINTS) -> float:
    """Largest absolute difference divided by the largest finite magnitude of the reference, each quantity apart.

    Args:
        reference: What ONNX Runtime computed.
        actual: What the binary computed, of the same shape.
        joints: Where the graph joins it of unlike tensors.

    Returns:
        0 for equal tensors; infinity where shapes, NaNs or infinities do not coincide.
    """
    if reference.shape != actual.shape:
        return math.inf
    finite = finite_values(reference, actual)
    if finite is None:
        return math.inf
    return max(_relative(*part) for part in quantities(*finite, joints))


def _relative(expected: Array, received: Array) -> float:
    difference = float(np.abs(expected - received).max(initial=0.0))
    magnitude = float(np.abs(expected).max(initial=0.0))
    return difference / magnitude if magnitude > 0 else (math.inf if difference > 0 else 0.0)


def signal_to_noise(reference: Array, actual: Array) -> float:
    """Signal-to-quantisation-noise ratio in dB: 10·log₁₀(Σ reference² / Σ (reference − actual)²).

    Infinities and NaNs at the same places count as equal, others leave −∞ dB.
    """
    finite = finite_values(reference, actual)
    if finite is None:
        return -math.inf
    expected, received = finite
    return decibels(float(np.square(expected).sum()), float(np.square(expected - received).sum()))


def decibels(signal: float, noise: float) -> float:
    """Returns 10 log10(signal / noise): infinity where there is no noise, -infinity where the noise is not finite.

    Args:
        signal: Sum of squares of the reference.
        noise: Sum of squares of the difference.
    """
    if noise == 0:
        return math.inf
    if not math.isfinite(noise) or signal == 0:
        return -math.inf
    return 10 * math.log10(signal / noise)


@dataclasses.dataclass(frozen=True)
class Energy:
    """A quantity beside its reference, summed over values and samples.

    Attributes:
        signal: Sum of squares of the reference.
        noise: Sum of squares of the difference; infinite where infinities or NaNs do not coincide.
        total: Sum of the reference.
        count: How many values it has.
    """

    signal: float = 0.0
    noise: float = 0.0
    total: float = 0.0
    count: int = 0

    def __add__(self, other: Energy) -> Energy:
        """Adds the sums."""
        return Energy(
            self.signal + other.signal,
            self.noise + other.noise,
            self.total + other.total,
            self.count + other.count,
        )

    @property
    def ratio(self) -> float:
        """Signal-to-noise ratio, dB."""
        return decibels(self.signal, self.noise)


def energies(expected: Array, actual: Array, joints: Joints = NO_JOINTS) -> list[Energy]:
    """Returns what each quantity of a tensor differs by.

    Args:
        expected: The reference; of it, values that are not finite do not count.
        actual: Of the same shape; the difference is infinite where it is not.
        joints: Where the graph joins them of unlike tensors.
    """
    values = finite_values(expected, actual) if expected.shape == actual.shape else None
    if values is None:
        wide = expected.astype(np.float64)
        return [_energy(wide[np.isfinite(wide)], math.inf)]
    return [
        _energy(wanted, float(np.square(wanted - received).sum()))
        for wanted, received in quantities(*values, joints)
    ]


def _energy(expected: Array, noise: float) -> Energy:
    return Energy(float(np.square(expected).sum()), noise, float(expected.sum()), expected.size)


def finite_values(reference: Array, actual: Array) -> tuple[Array, Array] | None:
    """Returns two tensors of one shape in float64, with zeros where the reference is not finite.

    Returns:
        None where infinities or NaNs do not coincide.
    """
    expected, received = reference.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(expected)
    same = np.array_equal(expected[~finite], received[~finite], equal_nan=True)
    if not same or not np.isfinite(received[finite]).all():
        return None
    return np.where(finite, expected, 0.0), np.where(finite, received, 0.0)
