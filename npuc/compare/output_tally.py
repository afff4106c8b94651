"""What one output of a component loses over all samples: its ratio, and the decisions it stands for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from exporter.program import Array
from npuc.compare.scores import INDEX, Decisions, compare_decisions
from targets.agreement import decibels, energies

COVERED = 3.0
"""Ratio, dB, of what varies to the noise below which the noise covers it."""

STEADY = 2.0**-10
"""Share of the mean by which values have to vary to be judged without it: a step of float16."""


@dataclasses.dataclass
class OutputTally:
    """Sums over samples.

    Attributes:
        scores: How the output stands for decisions, from `score_outputs`; empty where it does not.
        sums: Sums of squares of the original and of the difference; far constants apart from other values.
        total: Sum of the original's finite values.
        count: How many they are.
        decisions: Rows whose largest entry was compared; of indices and truth values, every value.
        is_decision: Whether the output holds decisions themselves.
    """

    scores: str = ""
    sums: dict[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    total: float = 0.0
    count: int = 0
    decisions: Decisions = dataclasses.field(default_factory=Decisions)
    is_decision: bool = False

    @property
    def ratio(self) -> float:
        """Signal-to-noise ratio, dB; infinity where nothing differs, or where the values are no quantities.

        Of what varies alone, where noise covers that: beside an offset it would not count.
        """
        ratio = min((decibels(*pair) for pair in self.sums.values()), default=math.inf)
        return min(ratio, self._varying) if self._varying < COVERED else ratio

    @property
    def _varying(self) -> float:
        """The ratio of what is left of the values without their mean; infinity where that is too little to judge.

        A distribution is judged as it is: over alternatives that are as likely it hardly varies.
        """
        signal, noise = self.sums.get(0, (0.0, 0.0))
        offset = self.total**2 / max(1, self.count)
        if (
            self.scores
            or len(self.sums) != 1
            or not math.isfinite(noise)
            or signal - offset < offset * STEADY**2
        ):
            return math.inf
        return decibels(signal - offset, noise)

    def add(self, expected: Array, actual: Array) -> float:
        """Adds a sample; returns its own ratio, dB.

        Args:
            expected: What the original returned.
            actual: What the final graph returned.
        """
        if self.scores == INDEX or expected.dtype == np.bool_:
            same = int((expected == actual).sum()) if expected.shape == actual.shape else 0
            self.is_decision = True
            self.decisions += Decisions(expected.size, same)
            return math.inf if same == expected.size else 0.0
        found = energies(expected, actual)
        for part, (signal, noise) in enumerate(found):
            before = self.sums.get(part, (0.0, 0.0))
            self.sums[part] = before[0] + signal, before[1] + noise
        finite = expected[np.isfinite(expected)].astype(np.float64)
        self.total, self.count = self.total + float(finite.sum()), self.count + finite.size
        if self.scores and expected.shape == actual.shape:
            self.decisions += compare_decisions(self.scores, expected, actual)
        return min(decibels(*pair) for pair in found)
