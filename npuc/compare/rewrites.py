"""Gate 1: what capture and normalisation made of a component computes what the user's model computes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Array, Component
from npuc.compare.first_wrong_pass import Rewriting, first_wrong_pass
from npuc.compare.records import RewriteRecord
from npuc.compare.rounding_noise import own_error
from npuc.compare.samples import Answered
from npuc.errors import AgreementError
from targets.agreement import AGREEMENT_BOUNDS, relative_error

OWN_MARGIN = 4.0
"""A rewritten graph may round at more places than the captured one has values."""

WIDEST = 1e-2
"""No ordinary sample may differ by more, however much the original moves by itself."""

_OWN = "the model moves as far by itself when its values change in their last place"
_HALF = "the source computes in float16"


@dataclasses.dataclass(frozen=True)
class RewriteJob:
    """What to judge.

    Attributes:
        component: The rewritten component.
        rewriting: How it was made, to find the pass that is wrong.
        answered: Samples with what the original returned for them.
        bound: Largest relative error in float32.
    """

    component: Component
    rewriting: Rewriting
    answered: Sequence[Answered]
    bound: float


def judge_rewrites(job: RewriteJob) -> tuple[RewriteRecord, list[Answered]]:
    """Compares a rewritten component with the original.

    Returns:
        What was measured, and the samples that count: one at the edge on which the original itself is undecided,
        as between equal entries, tells nothing of a rewrite or of a precision.

    Raises:
        AgreementError: They differ; names the first pass and node that changed the result.
    """
    usual, reason = _usual_bound(job)
    largest, bound, counted = 0.0, usual, []
    executor = OnnxExecutor(job.component.model)
    for row in job.answered:
        error = largest_error(row.outputs, executor(row.sample.feeds))
        if error > usual:
            own = OWN_MARGIN * own_error(job.rewriting.captured, row.sample.feeds, largest_error)
            if row.sample.edge and error <= own:
                continue
            if error > min(own, WIDEST):
                raise _wrong_rewrite(job, row, error, usual)
            bound, reason = max(bound, min(own, WIDEST)), _OWN
        largest = max(largest, error)
        counted.append(row)
    record = RewriteRecord(samples=len(counted), max_relative_error=largest, bound=bound, reason=reason)
    return record, counted


def largest_error(expected: Mapping[str, Array], actual: Mapping[str, Array]) -> float:
    """Returns the largest relative error of all outputs; infinity where an integer, a bool or a NaN differs."""
    return max((_error(value, actual[name]) for name, value in expected.items()), default=0.0)


def _error(expected: Array, actual: Array) -> float:
    if expected.dtype.kind in "biu":
        return 0.0 if np.array_equal(expected, actual) else math.inf
    return relative_error(expected, actual)


def _usual_bound(job: RewriteJob) -> tuple[float, str]:
    graph = job.rewriting.captured.graph
    values = (*graph.inputs, *graph.initializers.values(), *(out for node in graph for out in node.outputs))
    if any(value.dtype == ir.DataType.FLOAT16 for value in values):
        return max(job.bound, AGREEMENT_BOUNDS["float16"]), _HALF
    return job.bound, ""


def _wrong_rewrite(job: RewriteJob, row: Answered, error: float, bound: float) -> AgreementError:
    def is_wrong(model: ir.Model) -> bool:
        return largest_error(row.outputs, OnnxExecutor(model)(row.sample.feeds)) > bound

    found = first_wrong_pass(job.rewriting, is_wrong, row.sample.feeds)
    place = f"component {job.component.name}, {found}"
    sample = f" on the sample whose {row.sample.edge}" if row.sample.edge else ""
    size = (
        "values that are not finite, or integers, differ"
        if math.isinf(error)
        else f"relative error {error:.2e}"
    )
    return AgreementError(
        "the rewritten graph does not compute what the model computes",
        where=place,
        received=f"{size}{sample}; bound: {bound:g}",
        remedy="report this model: it is a fault of npuc. --dump-ir keeps the graph after each pass",
    )
