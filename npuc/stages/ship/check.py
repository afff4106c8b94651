"""Every binary is executed and compared; what disagrees is not shipped."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from npuc.artifact.feeds import cast_feeds, segment_feeds
from npuc.artifact.manifest import Agreement
from npuc.artifact.paths import MODEL_FOLDER
from npuc.compare.binary.agreement import worst
from npuc.compare.binary.judge import Trial, first_cause, judge
from npuc.compare.source.sample_files import load_labelled
from npuc.compare.source.samples import count_ordinary
from npuc.errors import AgreementError
from npuc.stages.lower.lower import LoweredPlan
from npuc.stages.lower.lower_shared import Outputs
from npuc.stages.place.plan import Plan, Segment
from npuc.terminal.progress import Advance
from program.onnx_executor import OnnxExecutor
from program.program import Executor
from targets.contract.joint import CHIP, each_chip
from targets.contract.registry import find_emulator, find_target
from targets.devices.device import Device


@dataclasses.dataclass(frozen=True)
class CheckJob:
    """What to execute.

    Attributes:
        plan: Segments as they were lowered.
        lowered: What was made of them.
        device: Names the target that executes.
        folder: Of the artifact.
    """

    plan: Plan
    lowered: LoweredPlan
    device: Device
    folder: Path


@dataclasses.dataclass(frozen=True)
class Checked:
    """What was measured.

    Attributes:
        segments: By segment; of a binary for several chips the worst.
        chips: By segment and chip, where there are several.
    """

    segments: dict[str, Agreement] = dataclasses.field(default_factory=dict)
    chips: dict[str, dict[str, Agreement]] = dataclasses.field(default_factory=dict)


def check_binaries(job: CheckJob, advance: Advance) -> Checked:
    """Runs every binary on the recorded samples.

    Args:
        job: What to execute.
        advance: Told once a segment.

    Raises:
        AgreementError: A binary is beyond its bound.
    """
    samples = load_labelled(job.folder / MODEL_FOLDER)
    checked = Checked()
    for name, plan in job.plan.components.items():
        feeds = [cast_feeds(sample.feeds, plan.component.inputs) for sample in samples[name]]
        ordinary = count_ordinary(samples[name])
        references = [OnnxExecutor(job.folder / segment.reference) for segment in plan.segments]
        given = segment_feeds(feeds, references)
        for segment, run, inputs in zip(plan.segments, references, given, strict=True):
            graph = job.folder / segment.reference
            trial = Trial(job.device.target, segment.processor, graph, run, segment.bound, inputs, ordinary)
            by_chip = _check_segment(job, segment, trial)
            checked.segments[segment.name] = worst(by_chip.values())
            if len(by_chip) > 1:
                checked.chips[segment.name] = by_chip
            advance(1, 0)
    return checked


def _check_segment(job: CheckJob, segment: Segment, trial: Trial) -> dict[str, Agreement]:
    """Returns the agreement for each chip; one of empty name where the binary is for one chip or the CPU."""
    by_chip = {}
    for chip, binding in each_chip(job.lowered.segments[segment.name].binding).items():
        with _execute(job, segment, binding) as candidate:
            agreement = judge(trial, candidate)
        if not agreement.passed:
            raise _disagreement(segment, trial, binding, agreement)
        by_chip[chip] = agreement
    return by_chip


def _execute(
    job: CheckJob, segment: Segment, binding: Mapping[str, str]
) -> contextlib.AbstractContextManager[Executor]:
    if segment.name in job.lowered.outputs:
        return contextlib.nullcontext(_replay(job.lowered.outputs[segment.name]))
    lowered, binaries = job.lowered.segments[segment.name], job.folder / segment.processor
    emulator = find_emulator(job.device.target, segment.processor)
    if emulator is None:
        target = find_target(job.device.target)
        return target.execute(segment.component, lowered, binaries, job.folder / segment.weights)
    inputs, outputs = segment.component.inputs, segment.component.outputs
    executable, graph = binaries / (lowered.executable or ""), job.folder / segment.reference
    return emulator.open(executable, inputs, outputs, binding, graph)


def _replay(outputs: Outputs) -> Executor:
    """What the process that made the binary returned for the samples, in their order."""
    rows = iter(outputs)
    return lambda _feeds: dict(next(rows))


def _disagreement(
    segment: Segment, trial: Trial, binding: Mapping[str, str], agreement: Agreement
) -> AgreementError:
    why = first_cause(trial, binding)
    elsewhere = "" if segment.on_cpu else "try another format of --npu, or --npu cpu, and "
    sqnr = "exact" if agreement.sqnr is None else f"{agreement.sqnr:.1f} dB"
    return AgreementError(
        "a binary does not agree with its reference; nothing was written",
        where=f"component {segment.name}{_on_chip(binding)}" + (f"; {why}" if why else ""),
        received=f"relative error {agreement.max_relative_error:.2e}, SQNR {sqnr}; bound: {agreement.bound}",
        remedy=f"{elsewhere}report this model; --dump-ir keeps the graphs. "
        "The bounds are in the recipe's section [gates]",
    )


def _on_chip(binding: Mapping[str, str]) -> str:
    return f" on {binding[CHIP]}" if CHIP in binding else ""
