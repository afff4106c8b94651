"""How closely a lowered component has to agree with the ONNX Runtime reference, and how that is measured."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from exporter.program import Array
from targets.quantities import NO_JOINTS, Joints, quantities

AGREEMENT_BOUNDS: dict[str, float] = {"float32": 1e-4, "float16": 2e-2, "e4m3": 5e-2, "e5m2": 1e-1}
"""Largest `relative_error` of a component, by the coarsest format its graph computes in.

* float32: both sides round each product sum at 2⁻²⁴, in another order; over some ten layers this stays below 1e-4.
* float16: a value that lies between two float16 numbers may be rounded to the other neighbour, 2⁻¹¹ relative,
  after each operator; the differences add up over the layers.
* e4m3, e5m2: such a difference may move an activation across a rounding boundary of its FP8 format, which changes it
  by a whole step: 2⁻³ (three mantissa bits) or 2⁻² (two). Few elements flip, so the bound is far below one step for
  a component of one or two layers. Over more layers single elements move further although the tensors agree: judge
  those by `FP8_SIGNAL_TO_NOISE`.
"""

FP8_SIGNAL_TO_NOISE = 25.0
"""Least `signal_to_noise`, in dB, of a component with FP8 activations, however deep: the rounding to E5M2 itself leaves
20 to 29 dB in each layer, and flips of that rounding must stay below it."""

NPU_SIGNAL_TO_NOISE: dict[str, float] = {"float16": 55.0, "16 bit": 50.0, "8 bit": 30.0}
"""Least `signal_to_noise`, in dB, of what an NPU computes, by the type of its activations. Integer graphs agree to
one or two steps of their last rounding; float16 differs in the order of sums and in the vendor's approximations of
softmax and GELU."""


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
