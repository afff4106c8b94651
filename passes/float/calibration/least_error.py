"""Scale with the least squared error."""

from __future__ import annotations

import numpy as np

from passes.float.calibration.absmax import absmax
from passes.float.calibration.statistics import BIN_VALUES, Statistics
from passes.float.fp8 import round_trip
from program.number_format import Format

STEPS_PER_OCTAVE = 8
OCTAVES = 4
"""Candidates go from the largest value's scale down to 1/16 of it; FP8 formats lose more by saturating further."""


def least_error(statistics: Statistics, fmt: Format) -> float:
    """Returns the scale with the least squared quantisation error over everything that was seen.

    An FP8 format has the same relative step in every octave, so what a scale decides is where values stand between
    two powers of two, what falls among the subnormals and what saturates.
    """
    top = absmax(statistics, fmt)
    seen = np.flatnonzero(statistics.counts)
    values, weights = BIN_VALUES[seen], statistics.counts[seen].astype(np.float64)
    candidates = top * np.exp2(-np.arange(STEPS_PER_OCTAVE * OCTAVES + 1) / STEPS_PER_OCTAVE)
    errors = [_squared_error(values, weights, float(scale), fmt) for scale in candidates]
    return float(candidates[int(np.argmin(errors))])


def _squared_error(
    values: np.typing.NDArray[np.float32], weights: np.typing.NDArray[np.float64], scale: float, fmt: Format
) -> float:
    difference = round_trip(values, scale, fmt).astype(np.float64) - values
    return float(np.dot(weights, difference * difference))
