"""What one output of a component loses over all samples: its ratio, and the decisions it stands for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from exporter.program import Array
from npuc.compare.scores import INDEX, Decisions, compare_decisions
from targets.agreement import decibels, energies


@dataclasses.dataclass
class OutputTally:
    """Sums over samples.

    Attributes:
        scores: How the output stands for decisions, from `score_outputs`; empty where it does not.
        sums: Sums of squares of the original and of the difference; far constants apart from other values.
        decisions: Rows whose largest entry was compared; of indices and truth values, every value.
        is_decision: Whether the output holds decisions themselves.
    """

    scores: str = ""
    sums: dict[int, tuple[float, float]] = dataclasses.field(default_factory=dict)
    decisions: Decisions = dataclasses.field(default_factory=Decisions)
    is_decision: bool = False

    @property
    def ratio(self) -> float:
        """Signal-to-noise ratio, dB; infinity where nothing differs, or where the values are no quantities."""
        return min((decibels(*pair) for pair in self.sums.values()), default=math.inf)

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
        if self.scores and expected.shape == actual.shape:
            self.decisions += compare_decisions(self.scores, expected, actual)
        return min(decibels(*pair) for pair in found)
