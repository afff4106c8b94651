"""How it is measured how closely a lowered component agrees with the ONNX Runtime reference."""

from __future__ import annotations

import math

import numpy as np

from exporter.program import Array

FAR = 1e3
"""Times a constant is beyond all other values to be judged apart from them."""

_CONSTANT_SPREAD = 1e-3


def relative_error(reference: Array, actual: Array) -> float:
    """Largest absolute difference divided by the largest finite magnitude of the reference, far constants apart.

    Args:
        reference: What ONNX Runtime computed.
        actual: What the binary computed, of the same shape.

    Returns:
        0 for equal tensors; infinity where shapes, NaNs or infinities do not coincide.
    """
    if reference.shape != actual.shape:
        return math.inf
    finite = _finite_values(reference, actual)
    if finite is None:
        return math.inf
    return max(_relative(*part) for part in parts(*finite))


def _relative(expected: Array, received: Array) -> float:
    difference = float(np.abs(expected - received).max(initial=0.0))
    magnitude = float(np.abs(expected).max(initial=0.0))
    return difference / magnitude if magnitude > 0 else (math.inf if difference > 0 else 0.0)


def parts(expected: Array, received: Array) -> list[tuple[Array, Array]]:
    """Splits values into those at a far constant, such as the -1e9 of a mask, and the others.

    Beside such a constant nothing else would count, whatever its error.

    Args:
        expected: Finite reference values, any shape.
        received: The values beside them.

    Returns:
        Both parts, or all values as one where at least two of them are not one constant `FAR` beyond the others.
    """
    magnitudes = np.abs(expected)
    far = magnitudes >= magnitudes.max(initial=0.0) * (1 - _CONSTANT_SPREAD)
    rest = float(magnitudes[~far].max(initial=0.0))
    is_constant = np.count_nonzero(far) > 1 and abs(np.sign(expected[far]).sum()) == np.count_nonzero(far)
    if not is_constant or rest == 0 or magnitudes.max() < FAR * rest:
        return [(expected, received)]
    return [(expected[far], received[far]), (expected[~far], received[~far])]


def signal_to_noise(reference: Array, actual: Array) -> float:
    """Signal-to-quantisation-noise ratio in dB: 10·log₁₀(Σ reference² / Σ (reference − actual)²).

    Infinities and NaNs at the same places count as equal, others leave −∞ dB.
    """
    finite = _finite_values(reference, actual)
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


def energies(expected: Array, actual: Array) -> list[tuple[float, float]]:
    """Returns the sums of squares of a reference and of the difference; of far constants and other values apart.

    Args:
        expected: The reference; of it, values that are not finite do not count.
        actual: Of the same shape; the difference is infinite where it is not, or where infinities or NaNs do not
            coincide.
    """
    values = _finite_values(expected, actual) if expected.shape == actual.shape else None
    if values is None:
        wide = expected.astype(np.float64)
        return [(float(np.square(wide[np.isfinite(wide)]).sum()), math.inf)]
    return [
        (float(np.square(wanted).sum()), float(np.square(wanted - received).sum()))
        for wanted, received in parts(*values)
    ]


def _finite_values(reference: Array, actual: Array) -> tuple[Array, Array] | None:
    """The values where the reference is finite, in float64; None where infinities or NaNs do not coincide."""
    expected, received = reference.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(expected)
    same = np.array_equal(expected[~finite], received[~finite], equal_nan=True)
    if not same or not np.isfinite(received[finite]).all():
        return None
    return expected[finite], received[finite]
