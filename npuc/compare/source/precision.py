"""Gate 2: what the number formats of a final graph cost, against the user's model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from npuc.compare.records import NOT_FINITE, PrecisionRecord
from npuc.compare.source.output_tally import OutputTally
from npuc.compare.source.precision_bound import PrecisionBound
from npuc.compare.source.samples import Answered
from npuc.compare.source.scores import Decisions
from program.program import Array, Executor
from program.quantities import NO_JOINTS, Joints


@dataclasses.dataclass(frozen=True)
class PrecisionJob:
    """What to measure.

    Attributes:
        answered: Samples with the original's outputs.
        executor: The final graph; takes the samples' element types.
        scores: Outputs that score alternatives, from `score_outputs`.
        bound: What must hold.
        lost_at: Finds the node where the signal of a sample is lost; asked where the bound does not hold.
        joints: Outputs that are joined of several tensors, from `joined_outputs`.
    """

    answered: Sequence[Answered]
    executor: Executor
    scores: Mapping[str, str]
    bound: PrecisionBound
    lost_at: Callable[[Answered], str]
    joints: Mapping[str, Joints] = dataclasses.field(default_factory=dict)


def measure_precision(job: PrecisionJob) -> PrecisionRecord | None:
    """Compares a final graph with what the original returned.

    Samples at the edge only have to be finite where the original is: number formats are calibrated for ordinary ones.

    Returns:
        What was measured; None where there is no ordinary sample.
    """
    ordinary = [row for row in job.answered if not row.sample.edge]
    if not ordinary:
        return None
    outputs = {
        name: OutputTally(job.scores.get(name, ""), job.joints.get(name, NO_JOINTS))
        for name in ordinary[0].outputs
    }
    worst = min(ordinary, key=lambda row: _add_sample(job, row, outputs))
    broken = list(_broken_edges(job))
    failing = [name for name, output in outputs.items() if not job.bound.holds(output)]
    telling = worst if failing else broken[0] if broken else None
    output = min(failing or outputs, key=lambda name: outputs[name].ratio)
    decisions = sum((tally.decisions for tally in outputs.values()), Decisions())
    return PrecisionRecord(
        samples=len(ordinary),
        output=output,
        sqnr=_stated(outputs[output].ratio),
        decisions=decisions.clear,
        top=decisions.same / decisions.clear if decisions.clear else None,
        divergence=decisions.divergence / decisions.rows if decisions.rows else None,
        bound=job.bound.describe(outputs[output]),
        passed=telling is None,
        lost_at="" if telling is None else job.lost_at(telling),
        edges=tuple(row.sample.edge for row in broken),
    )


def _add_sample(job: PrecisionJob, row: Answered, outputs: Mapping[str, OutputTally]) -> float:
    """Adds a sample to the tally of each output; returns the least ratio, dB."""
    actual = job.executor(row.sample.feeds)
    return min(outputs[name].add(expected, actual[name]) for name, expected in row.outputs.items())


def _broken_edges(job: PrecisionJob) -> Iterator[Answered]:
    """Yields samples at the edge on which values are not finite that are finite in the original."""
    for row in job.answered:
        if row.sample.edge and row.sample.usual:
            actual = job.executor(row.sample.feeds)
            if any(_loses_values(expected, actual[name]) for name, expected in row.outputs.items()):
                yield row


def _loses_values(expected: Array, actual: Array) -> bool:
    if expected.dtype.kind != "f":
        return False
    return bool(np.any(np.isfinite(expected) & ~np.isfinite(actual.astype(np.float64))))


def _stated(ratio: float) -> float | None:
    """A ratio as JSON can hold it."""
    if ratio == math.inf:
        return None
    return NOT_FINITE if ratio == -math.inf else ratio
