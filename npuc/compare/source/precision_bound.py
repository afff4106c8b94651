"""What must hold of a final graph, by the number formats it has."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from npuc.compare.source.output_tally import OutputTally
from npuc.settings.recipe import Gates
from program.number_format import FP8_FORMATS
from targets.contract.npu_format import Gate

LEAST_DECISIONS = 10
"""Clear decisions from which on a share of them is a measure: of fewer, a single one is more than a tenth."""

_FEW = 4
"""Decisions from which on one may differ, although it is more than the share."""


@dataclasses.dataclass(frozen=True)
class PrecisionBound:
    """What must hold for each output of a component.

    Attributes:
        min_sqnr: Least signal-to-noise ratio, dB.
        min_decisions: Least share of decisions that stay.
        by_decisions: Whether that share stands in for the ratio where an output scores alternatives.
        least: Clear decisions that are enough for that.
    """

    min_sqnr: float
    min_decisions: float
    by_decisions: bool = False
    least: int = LEAST_DECISIONS

    def holds(self, output: OutputTally) -> bool:
        """Whether one output is within the bound."""
        lost = output.decisions.clear - output.decisions.same
        kept = output.decisions.same >= self.min_decisions * output.decisions.clear
        if output.is_decision:
            return kept or (lost <= 1 and output.decisions.clear >= _FEW)
        if self.by_decisions and output.decisions.clear >= self.least and output.ratio != -math.inf:
            return kept
        return output.ratio >= self.min_sqnr

    def describe(self, output: OutputTally) -> str:
        """Returns what an output is held to, in words."""
        return f"{self.min_decisions:.0%} of decisions" if output.is_decision else str(self)

    def __str__(self) -> str:
        ratio = f"SQNR >= {self.min_sqnr:g} dB"
        return f"{self.min_decisions:.0%} of decisions, else {ratio}" if self.by_decisions else ratio


def precision_bound(formats: Iterable[str], base: str, gates: Gates) -> PrecisionBound:
    """Chooses the bound by the least precise format in a component.

    Args:
        formats: Formats of its layers.
        base: Format of everything else.
        gates: Limits of the recipe.
    """
    if set(formats) & set(FP8_FORMATS):
        return PrecisionBound(gates.min_source_sqnr_8_bit, gates.min_source_decisions, by_decisions=True)
    wide = gates.min_source_sqnr_float32 if base == "float32" else gates.min_source_sqnr_float16
    return PrecisionBound(wide, gates.min_source_decisions)


def format_bound(gate: Gate, formats: Iterable[str], gates: Gates) -> PrecisionBound:
    """Chooses the bound of a graph made for an NPU.

    Args:
        gate: `NpuFormat.source_gate` of its number format.
        formats: Formats of the layers it was made from, where it keeps their weights.
        gates: Limits of the recipe.
    """
    if gate == "float16":
        return precision_bound(formats, "float16", gates)
    if gate == "16 bit":
        return PrecisionBound(gates.min_source_sqnr_16_bit, gates.min_source_decisions)
    return PrecisionBound(gates.min_source_sqnr_8_bit, gates.min_source_decisions, by_decisions=True)
