"""What one output of a component loses over all samples: its ratio, and the decisions it stands for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from exporter.program import Array
from npuc.compare.scores import Decisions, compare_decisions
from targets.agreement import decibels, energies

_WHOLE_NUMBERS = (np.bool_, np.int32, np.int64)
"""Types of outputs that are decisions themselves, such as the index of a class; narrower integers are codes."""


@dataclasses.dataclass
class OutputTally:
    """Sums over samples.

    Attributes:
        scores: Operator that makes the output a score of alternatives, from `score_outputs`; empty where none does.
        signal: Sum of squares of the original.
        noise: Sum of squares of the difference.
        decisions: Rows whose largest entry was compared; of whole numbers, every value.
        is_decision: Whether the output holds whole numbers.
    """

    scores: str = ""
    signal: float = 0.0
    noise: float = 0.0
    decisions: Decisions = dataclasses.field(default_factory=Decisions)
    is_decision: bool = False

    @property
    def ratio(self) -> float:
        """Signal-to-noise ratio, dB; infinity where nothing differs, or where the values are no quantities."""
        return math.inf if self.is_decision else decibels(self.signal, self.noise)

    def add(self, expected: Array, actual: Array) -> float:
        """Adds a sample; returns its own ratio, dB.

        Args:
            expected: What the original returned.
            actual: What the final graph returned.
        """
        if expected.dtype.type in _WHOLE_NUMBERS:
            same = int((expected == actual).sum()) if expected.shape == actual.shape else 0
            self.is_decision = True
            self.decisions += Decisions(expected.size, same)
            return math.inf if same == expected.size else 0.0
        signal, noise = energies(expected, actual)
        self.signal += signal
        self.noise += noise
        if self.scores and expected.shape == actual.shape:
            self.decisions += compare_decisions(self.scores, expected, actual)
        return decibels(signal, noise)
