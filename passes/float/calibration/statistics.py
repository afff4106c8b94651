"""Streaming statistics of an activation: a histogram and a few rows, whatever the number of requests."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from program.program import Array

BINS = 31744
"""Non-negative finite float16 numbers: bin i holds the magnitudes that round to the number with bits i."""

BIN_VALUES: npt.NDArray[np.float32] = np.arange(BINS, dtype=np.uint16).view(np.float16).astype(np.float32)
"""The magnitude of each bin."""

SAMPLE_ROWS = 64
"""Rows kept to measure the output error of a layer; FP8 rounding errors average out over rows and channels."""


@dataclasses.dataclass
class Statistics:
    """What is known of one tensor after any number of runs.

    Attributes:
        counts: How many elements fell into each float16 magnitude; a float16 tensor loses nothing but signs.
        absmax: Largest magnitude, exact.
        sample: Up to `SAMPLE_ROWS` rows [n, width] of the last axis, evenly taken from each run.
        example: The tensor of the first run, where asked for.
    """

    counts: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.zeros(BINS, np.int64))
    absmax: float = 0.0
    sample: npt.NDArray[np.float32] = dataclasses.field(default_factory=lambda: np.zeros((0, 0), np.float32))
    example: Array | None = None

    def update(self, values: Array, keep_example: bool = False) -> None:
        """Adds the values of one run.

        Raises:
            ValueError: A value is not finite.
        """
        magnitudes = np.abs(values.astype(np.float32))
        largest = float(magnitudes.max(initial=0.0))
        if not np.isfinite(largest):
            raise ValueError("an activation is infinite or NaN")
        self.absmax = max(self.absmax, largest)
        bits = np.minimum(magnitudes, BIN_VALUES[-1]).astype(np.float16).view(np.uint16)
        self.counts += np.bincount(bits.reshape(-1), minlength=BINS)
        self._sample(values)
        if keep_example and self.example is None:
            self.example = values

    def _sample(self, values: Array) -> None:
        """Halves the sample whenever it is full, so that every run keeps a share of it."""
        rows = values.reshape(-1, values.shape[-1] if values.ndim else 1).astype(np.float32)
        step = -(-rows.shape[0] // SAMPLE_ROWS)
        taken = rows[::step]
        joined = taken if not self.sample.size else np.concatenate([self.sample, taken])
        while joined.shape[0] > SAMPLE_ROWS:
            joined = joined[::2]
        self.sample = np.ascontiguousarray(joined)
