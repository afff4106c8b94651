"""What a manifest says of the way from the user's model to the graph that is lowered."""

from __future__ import annotations

from pydantic import Field

from npuc.artifact.record import Record

NOT_FINITE = -999.0
"""Ratio, dB, of an output that has values which are not finite at places where the original's are, or the reverse: JSON
has no infinity."""


class RewriteRecord(Record):
    """How far the captured and rewritten graph is from the original, in the source's own precision.

    Attributes:
        samples: Calls compared.
        max_relative_error: max |rewritten - original| / max |original| of an output; integers and bools are equal.
        bound: What it was held to.
        reason: Why the bound is wider than usual, in words; empty where it is not.
    """

    samples: int
    max_relative_error: float
    bound: float
    reason: str = ""


class PrecisionRecord(Record):
    """How far the graph that is lowered is from the original: what its number formats cost.

    Attributes:
        samples: Calls compared.
        output: The output that lost most.
        sqnr: Of that output, dB; None where it is equal, `NOT_FINITE` where values are not finite that should be.
        decisions: Rows of scores whose largest entry is clear enough to be asked for.
        top: Share of them whose largest entry is the original's; None without scores.
        divergence: Mean Kullback-Leibler divergence of the distributions from the original's, nats; None without.
        bound: What must hold, in words.
        passed: Whether it does.
        lost_at: The node where the signal is lost, with its ratio; empty where nothing is lost.
        edges: What is special about samples at the edge on which values are not finite that should be.
        accepted: Whether the user took it although it does not hold.
    """

    samples: int
    output: str
    sqnr: float | None
    decisions: int
    top: float | None
    divergence: float | None
    bound: str
    passed: bool
    lost_at: str = ""
    edges: tuple[str, ...] = ()
    accepted: bool = False

    def accept(self) -> PrecisionRecord:
        """Returns the record with its loss accepted, where there is one."""
        return self if self.passed else self.model_copy(update={"accepted": True})


class SourceRecord(Record):
    """A component beside the model as the user gave it.

    Attributes:
        method: What ran the model, in words; empty where nothing did.
        missing: Why it is not compared, in words; empty where it is.
        rewrites: The captured and rewritten graph; None where not compared.
        precision: The graph that is lowered; None where not compared.
        precision_against: What the precision is compared with, where that is not the model: training changes what it
            computes.
    """

    method: str = ""
    missing: str = Field("", description='In words that follow "not compared: ".')
    rewrites: RewriteRecord | None = None
    precision: PrecisionRecord | None = None
    precision_against: str = ""
