"""Scale from the largest value seen."""

from __future__ import annotations

from passes.float.calibration.statistics import Statistics
from program.number_format import Format


def absmax(statistics: Statistics, fmt: Format) -> float:
    """Returns the scale at which nothing that was seen saturates; 1 for a tensor of zeros."""
    return statistics.absmax / fmt.largest or 1.0
