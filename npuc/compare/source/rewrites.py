"""Gate 1: what capture and normalisation made of a component computes what the user's model computes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import onnx_ir as ir

from npuc.compare.bounds import AGREEMENT_BOUNDS
from npuc.compare.joined_outputs import joined_outputs
from npuc.compare.records import RewriteRecord
from npuc.compare.source.difference import Difference, differences
from npuc.compare.source.first_wrong_pass import Rewriting, first_wrong_pass
from npuc.compare.source.rounding_noise import own_differences
from npuc.compare.source.samples import Answered
from npuc.errors import AgreementError
from program.errors import GraphExecutionError
from program.onnx_executor import OnnxExecutor
from program.program import Component

OWN_MARGIN = 4.0
"""A rewritten graph may round at more places than the captured one has values."""

WIDEST = 1e-2
"""No ordinary sample may differ by more, however much the model moves by itself."""

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
        What was measured, and the samples that count: one at the edge on which the model itself is undecided, as
        between equal entries, tells nothing of a rewrite or of a precision.

    Raises:
        AgreementError: They differ; names the first pass and node that changed the result.
    """
    bound, reason = _usual_bound(job)
    executor, joints = OnnxExecutor(job.component.model), joined_outputs(job.component.model)
    largest, widest, counted = 0.0, bound, []
    for row in job.answered:
        found = differences(row.outputs, executor(row.sample.feeds), joints)
        error = max((each.relative() for each in found.values()), default=0.0)
        if error > bound:
            if not _moves_as_far(job, row, found, bound):
                raise _wrong_rewrite(job, row, error, bound)
            if row.sample.edge:
                continue
            scales = _ordinary_scales(job.answered)  # here only: it reads every answer once more
            error = max(each.relative(scales[name]) for name, each in found.items())
            if error > WIDEST:
                raise _too_sensitive(job, error)
            widest, reason = WIDEST, _OWN
        largest = max(largest, error)
        counted.append(row)
    record = RewriteRecord(samples=len(counted), max_relative_error=largest, bound=widest, reason=reason)
    return record, counted


def _moves_as_far(job: RewriteJob, row: Answered, found: Mapping[str, Difference], bound: float) -> bool:
    """Tells whether the captured graph is as far from itself where the rewritten one is beyond the bound."""
    try:
        own = own_differences(job.rewriting.captured, row.sample.feeds)
    except (
        GraphExecutionError
    ):  # it holds an operator that only passes rewrite to what the reference executes
        own = own_differences(job.component.model, row.sample.feeds)
    wide = [name for name, each in found.items() if each.relative() > bound]
    return all(found[name].absolute <= OWN_MARGIN * own.get(name, 0.0) for name in wide)


def _ordinary_scales(answered: Sequence[Answered]) -> dict[str, float]:
    """Largest magnitude of each output over ordinary samples: what a difference is small against."""
    scales: dict[str, float] = {}
    for row in answered:
        for name, each in differences(row.outputs, row.outputs).items():
            scales[name] = max(scales.get(name, 0.0), 0.0 if row.sample.edge else each.scale)
    return scales


def _usual_bound(job: RewriteJob) -> tuple[float, str]:
    graph = job.rewriting.captured.graph
    values = (*graph.inputs, *graph.initializers.values(), *(out for node in graph for out in node.outputs))
    if any(value.dtype == ir.DataType.FLOAT16 for value in values):
        return max(job.bound, AGREEMENT_BOUNDS["float16"]), _HALF
    return job.bound, ""


def _too_sensitive(job: RewriteJob, error: float) -> AgreementError:
    return AgreementError(
        "the model moves further by itself than anything could be compared with it",
        where=f"component {job.component.name}",
        received=f"relative error {error:.2e} where its values change in their last place; at most {WIDEST:g}",
        remedy="scale the model's inputs to what it was trained on (--calibration); a chaotic model cannot be verified",
    )


def _wrong_rewrite(job: RewriteJob, row: Answered, error: float, bound: float) -> AgreementError:
    joints = joined_outputs(job.component.model)

    def is_wrong(model: ir.Model) -> bool:
        found = differences(row.outputs, OnnxExecutor(model)(row.sample.feeds), joints)
        return max(each.relative() for each in found.values()) > bound

    place = first_wrong_pass(job.rewriting, is_wrong, row.sample.feeds)
    sample = f" on the sample whose {row.sample.edge}" if row.sample.edge else ""
    size = (
        "values that are not finite, or integers, differ"
        if math.isinf(error)
        else f"relative error {error:.2e}"
    )
    return AgreementError(
        "the rewritten graph does not compute what the model computes",
        where=f"component {job.component.name}, {place}",
        received=f"{size}{sample}; bound: {bound:g}",
        remedy="report this model: it is a fault of npuc. --dump-ir keeps the graph after each pass",
    )
