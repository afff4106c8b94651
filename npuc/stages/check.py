"""Stage 7: every binary is executed and compared; what disagrees is not shipped."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Executor, Feeds
from npuc.agreement import compare
from npuc.artifact import MODEL_FOLDER
from npuc.emulators import exact_reference, explain_disagreement, find_emulator
from npuc.errors import AgreementError
from npuc.manifest import Agreement
from npuc.progress import Advance
from npuc.samples import load_samples
from npuc.segments import ComponentPlan, Plan, Segment, cast_feeds, segment_feeds
from targets.accelerator import Accelerator
from targets.device import Device
from targets.registry import find_target
from targets.target import Lowered


@dataclasses.dataclass(frozen=True)
class CheckJob:
    """What to execute.

    Attributes:
        plan: Segments as they were lowered.
        lowered: What was made of them.
        device: Names the target that executes.
        accelerator: Its NPU, if the plan uses one.
        folder: Of the artifact.
    """

    plan: Plan
    lowered: Mapping[str, Lowered]
    device: Device
    accelerator: Accelerator | None
    folder: Path


def check_binaries(job: CheckJob, advance: Advance) -> dict[str, Agreement]:
    """Runs every binary on the recorded samples.

    Args:
        job: What to execute.
        advance: Told once a segment.

    Returns:
        Segment name → agreement.

    Raises:
        AgreementError: A binary is beyond its bound.
    """
    samples = load_samples(job.folder / MODEL_FOLDER)
    agreements = {}
    for name, plan in job.plan.components.items():
        feeds = [cast_feeds(feed, plan.component.inputs) for feed in samples[name]]
        for segment, agreement in _check_component(job, plan, feeds).items():
            agreements[segment] = agreement
            advance(1, 0)
    return agreements


def _check_component(job: CheckJob, plan: ComponentPlan, feeds: list[Feeds]) -> dict[str, Agreement]:
    references = [OnnxExecutor(job.folder / segment.reference) for segment in plan.segments]
    agreements = {}
    for segment, reference, inputs in zip(
        plan.segments, references, segment_feeds(feeds, references), strict=True
    ):
        graph = job.folder / segment.reference
        exact = exact_reference(job.device.target, segment.processor, graph, segment.bound)
        with _execute(job, segment) as candidate:
            agreement = compare(reference, candidate, inputs, segment.bound, exact)
        if not agreement.passed:
            raise _disagreement(job, segment, agreement, inputs)
        agreements[segment.name] = agreement
    return agreements


def _execute(job: CheckJob, segment: Segment) -> contextlib.AbstractContextManager[Executor]:
    lowered, binaries = job.lowered[segment.name], job.folder / segment.processor
    if segment.on_cpu or job.accelerator is None:
        target = find_target(job.device.target)
        return target.execute(segment.component, lowered, binaries, job.folder / segment.weights)
    return job.accelerator.execute(segment.component, lowered, binaries)


def _disagreement(
    job: CheckJob, segment: Segment, agreement: Agreement, feeds: list[Feeds]
) -> AgreementError:
    binding, reference = job.lowered[segment.name].binding, job.folder / segment.reference
    emulator = find_emulator(job.device.target, segment.processor)
    why = explain_disagreement(emulator, binding, reference, feeds, segment.bound)
    sqnr = "exact" if agreement.sqnr is None else f"{agreement.sqnr:.1f} dB"
    return AgreementError(
        "a binary does not agree with its reference; nothing was written",
        where=f"component {segment.name}" + (f"; {why}" if why else ""),
        received=f"relative error {agreement.max_relative_error:.2e}, SQNR {sqnr}; bound: {agreement.bound}",
        remedy="report this model; --dump-ir keeps the graphs. The bounds are in the recipe's section [gates]",
    )
