"""What one output of a component loses over all samples: its ratio, and the decisions it stands for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from npuc.compare.source.scores import INDEX, Decisions, compare_decisions
from program.agreement import Energy, decibels, energies
from program.program import Array
from program.quantities import Joints

COVERED = 3.0
"""Ratio, dB, of what varies to the noise below which the noise covers it."""

STEADY = 2.0**-10
"""Share of the mean by which values have to vary to be judged without it: a step of float16."""


@dataclasses.dataclass
class OutputTally:
    """Sums over samples.

    Attributes:
        scores: How the output stands for decisions, from `score_outputs`; empty where it does not.
        joints: Where the output is joined of unlike tensors.
        sums: What each quantity in it differs by.
        decisions: Rows whose largest entry was compared; of indices and truth values, every value.
        is_decision: Whether the output holds decisions themselves.
    """

    scores: str = ""
    joints: Joints = dataclasses.field(default_factory=dict)
    sums: dict[int, Energy] = dataclasses.field(default_factory=dict)
    decisions: Decisions = dataclasses.field(default_factory=Decisions)
    is_decision: bool = False

    @property
    def ratio(self) -> float:
        """Least signal-to-noise ratio of its quantities, dB; infinity where nothing differs, or where it has none."""
        return min((self._quantity(energy) for energy in self.sums.values()), default=math.inf)

    def _quantity(self, energy: Energy) -> float:
        """The ratio of one quantity; of what varies alone where noise covers that, which an offset would hide.

        A distribution is judged as it is: over alternatives that are as likely it hardly varies.
        """
        offset = energy.total**2 / max(1, energy.count)
        varies = energy.signal - offset
        if self.scores or not math.isfinite(energy.noise) or varies < offset * STEADY**2:
            return energy.ratio
        varying = decibels(varies, energy.noise)
        return min(energy.ratio, varying) if varying < COVERED else energy.ratio

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
        found = energies(expected, actual, self.joints)
        for part, energy in enumerate(found):
            self.sums[part] = self.sums.get(part, Energy()) + energy
        if self.scores and expected.shape == actual.shape:
            self.decisions += compare_decisions(self.scores, expected, actual)
        return min(energy.ratio for energy in found)
