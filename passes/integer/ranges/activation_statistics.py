"""Streaming statistics of one activation with its sign: extremes, a histogram, and the least row maximum."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from passes.float.calibration.statistics import BIN_VALUES, BINS
from program.program import Array

SIGNED_VALUES: npt.NDArray[np.float32] = np.concatenate([-BIN_VALUES[:0:-1], BIN_VALUES])
"""Magnitude and sign of each bin, ascending: every finite float16 number, 0 once."""


@dataclasses.dataclass
class ActivationStatistics:
    """What is known of one tensor after any number of runs.

    Attributes:
        low: Least value, exact; at most 0.
        high: Largest value, exact; at least 0.
        counts: Elements by `SIGNED_VALUES`, where a histogram is kept.
        least_peak: Least maximum of a row (last axis) of any run.
    """

    low: float = 0.0
    high: float = 0.0
    counts: npt.NDArray[np.int64] | None = None
    least_peak: float = np.inf

    def update(self, values: Array, keep_histogram: bool) -> None:
        """Adds the values of one run.

        Args:
            values: Float array.
            keep_histogram: Whether to count every element (0.5 MB a tensor).

        Raises:
            ValueError: A value is not finite.
        """
        wide = values.astype(np.float32, copy=False)
        low, high = float(wide.min(initial=0.0)), float(wide.max(initial=0.0))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("an activation is infinite or NaN")
        self.low, self.high = min(self.low, low), max(self.high, high)
        if wide.ndim and wide.size:
            self.least_peak = min(self.least_peak, float(wide.max(axis=-1).min()))
        if keep_histogram:
            self._count(wide)

    def _count(self, wide: npt.NDArray[np.float32]) -> None:
        if self.counts is None:
            self.counts = np.zeros(len(SIGNED_VALUES), np.int64)
        limited = np.clip(wide, SIGNED_VALUES[0], SIGNED_VALUES[-1]).astype(np.float16).reshape(-1)
        bits = (limited.view(np.uint16) & 0x7FFF).astype(np.int64)
        index = np.where(np.signbit(limited), -bits, bits) + BINS - 1
        self.counts += np.bincount(index, minlength=len(self.counts))
