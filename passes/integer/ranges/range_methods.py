"""Chooses the range an activation's codes cover, from what was observed; one rule for each number of bits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from passes.core.errors import PassError
from passes.integer.affine import Range, affine_encoding, dequantise, quantise
from passes.integer.ranges.activation_statistics import SIGNED_VALUES, ActivationStatistics
from program.agreement import decibels
from program.number_format import IntegerType

RangeMethod = Callable[[ActivationStatistics, IntegerType], Range]
"""Returns the range for codes of a type."""

HEADROOM = 1.25
"""16-bit ranges reach this far beyond what was seen: it costs 0.3 of 16 bits, and requests beyond the calibration
data do not saturate."""

_SHARE = 1e-5
_STEPS = 24
_LEAST = 0.25


def extremes(statistics: ActivationStatistics, _: IntegerType) -> Range:
    """Returns everything that was seen."""
    return Range(statistics.low, statistics.high)


def percentile(statistics: ActivationStatistics, _: IntegerType) -> Range:
    """Returns the range that leaves out a share of 1e-5 of the elements at each end."""
    cumulative = np.cumsum(_counts(statistics))
    cut = cumulative[-1] * _SHARE
    first = int(np.searchsorted(cumulative, cut, side="right"))
    last = int(np.searchsorted(cumulative, cumulative[-1] - cut))
    return Range(
        max(statistics.low, min(0.0, float(SIGNED_VALUES[first]))),
        min(statistics.high, max(0.0, float(SIGNED_VALUES[last]))),
    )


def least_error(statistics: ActivationStatistics, kind: IntegerType) -> Range:
    """Returns the range with the least squared error over everything that was seen.

    Candidates shrink each end in turn, down to a quarter: a wide range has large steps, a narrow one saturates.
    """
    counts = _counts(statistics)
    seen = np.flatnonzero(counts)
    values, weights = SIGNED_VALUES[seen], counts[seen].astype(np.float64)
    whole = Range(statistics.low, statistics.high)
    best, least = whole, _squared_error(values, weights, whole, kind)
    for low_first in (True, False):
        start = best
        for factor in np.linspace(_LEAST, 1.0, _STEPS, endpoint=False):
            trial = (
                Range(start.low * factor, start.high) if low_first else Range(start.low, start.high * factor)
            )
            error = _squared_error(values, weights, trial, kind)
            if error < least:
                best, least = trial, error
    return best


def rounding_sqnr(statistics: ActivationStatistics, covered: Range, kind: IntegerType) -> float:
    """Returns the ratio of what was seen to its rounding and saturation error, in dB."""
    counts = _counts(statistics)
    seen = np.flatnonzero(counts)
    values, weights = SIGNED_VALUES[seen], counts[seen].astype(np.float64)
    error = _squared_error(values, weights, covered, kind)
    signal = float(np.dot(weights, np.square(values, dtype=np.float64)))
    return decibels(signal, error) if signal > 0 else math.inf


def by_bits(statistics: ActivationStatistics, kind: IntegerType) -> Range:
    """The default: `least_error` for 8 bits, `extremes` with `HEADROOM` for 16."""
    if not needs_histogram(by_bits, kind):
        return extremes(statistics, kind).widened(HEADROOM)
    return least_error(statistics, kind)


def needs_histogram(method: RangeMethod, kind: IntegerType) -> bool:
    """Tells whether a method reads the counts, which cost memory and time."""
    if method is by_bits:
        return kind not in (IntegerType.UINT16, IntegerType.INT16)
    return method is not extremes


RANGE_METHODS: dict[str, RangeMethod] = {
    "by_bits": by_bits,
    "absmax": extremes,
    "percentile": percentile,
    "least_error": least_error,
}
"""By the name a recipe uses."""


def range_method(name: str) -> RangeMethod:
    """Returns a method by name.

    Raises:
        PassError: There is no such method.
    """
    if name not in RANGE_METHODS:
        raise PassError(
            "unknown range method", received=name, remedy=f"use one of {', '.join(RANGE_METHODS)}"
        )
    return RANGE_METHODS[name]


def _counts(statistics: ActivationStatistics) -> npt.NDArray[np.int64]:
    if statistics.counts is None:
        raise PassError("this range method needs a histogram", remedy="observe the tensor with a histogram")
    return statistics.counts


def _squared_error(
    values: npt.NDArray[np.float32], weights: npt.NDArray[np.float64], covered: Range, kind: IntegerType
) -> float:
    encoding = affine_encoding(covered, kind)
    codes = quantise(values, encoding.scale, encoding.zero_point, kind)
    difference = dequantise(codes, encoding.scale, encoding.zero_point).astype(np.float64) - values
    return float(np.dot(weights, difference * difference))
