"""Scale from a percentile of the magnitudes."""

from __future__ import annotations

import numpy as np

from passes.float.calibration.statistics import BIN_VALUES, Statistics
from program.number_format import Format


def percentile(statistics: Statistics, fmt: Format, share: float = 99.99) -> float:
    """Returns the scale at which `share` percent of the magnitudes do not saturate.

    Args:
        statistics: Of the tensor.
        fmt: E4M3 or E5M2.
        share: In percent, above 0.
    """
    cumulative = np.cumsum(statistics.counts)
    index = int(np.searchsorted(cumulative, cumulative[-1] * share / 100))
    limit = min(float(BIN_VALUES[min(index, len(BIN_VALUES) - 1)]), statistics.absmax)
    return limit / fmt.largest or 1.0
