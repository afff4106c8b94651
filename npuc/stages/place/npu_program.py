"""Writes the graphs for an NPU beside a prepared program and measures how far they are from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

from npuc.artifact.manifest import NpuRecord
from npuc.artifact.paths import MODEL_FOLDER, NPU_FOLDER
from npuc.artifact.samples import load_samples
from npuc.artifact.weights_file import large_initializers, write_weights
from npuc.caching.cache import content_key, package_digest, packages_of
from npuc.compare.binary.agreement import Bound, Reference, compare
from npuc.compare.joined_outputs import joined_outputs
from npuc.compare.source.graph_precision import casting_executor, graph_precision
from npuc.compare.source.original_answers import load_answers
from npuc.compare.source.precision_bound import format_bound
from npuc.stages.capture.prepare_job import PrepareJob, prepare_key
from npuc.stages.capture.prepared import Prepared
from npuc.stages.capture.remarks import write_remarks
from npuc.stages.place.legalize import legalize_program
from npuc.stages.place.scheme import NpuChoice
from npuc.terminal.progress import Advance
from program.onnx_executor import OnnxExecutor
from program.program import Component
from targets.contract.accelerator import Accelerator
from targets.devices.device import Device


@dataclasses.dataclass(frozen=True)
class NpuProgramJob:
    """What to derive.

    Attributes:
        source: What was prepared; gives model, recipe, cache and reporter.
        prepared: The result.
        device: Device to compile for.
        accelerators: Its NPU processors, the preferred one first.
        choice: What that one computes in, and why.
    """

    source: PrepareJob
    prepared: Prepared
    device: Device
    accelerators: Sequence[Accelerator]
    choice: NpuChoice


@dataclasses.dataclass(frozen=True)
class NpuProgram:
    """Graphs for the NPU.

    Attributes:
        components: By name; large weights are bound to `npu/weights.bin`.
        records: What was changed, by component.
    """

    components: dict[str, Component]
    records: dict[str, NpuRecord]


def npu_program(job: NpuProgramJob, folder: Path) -> NpuProgram:
    """Fills `npu/` of an artifact, from the cache where it can.

    Args:
        job: What to derive.
        folder: Of the artifact; holds the prepared program.
    """
    names = list(job.prepared.program.components)
    with job.source.reporter.phase("specialize", len(names)) as advance:

        def build(building: Path) -> dict[str, Any]:
            return _build(job, folder, building, advance)

        key = _key(job)
        summary = build(folder) if key is None else job.source.cache.fetch(key, folder, build)
    components = {
        name: dataclasses.replace(component, model=ir.load(folder / NPU_FOLDER / f"{name}.onnx"))
        for name, component in job.prepared.program.components.items()
    }
    return NpuProgram(components, {name: NpuRecord.model_validate(summary[name]) for name in names})


def _key(job: NpuProgramJob) -> str | None:
    prepared = prepare_key(job.source)
    if prepared is None:
        return None
    packages = sorted({"targets", *packages_of(*job.accelerators)})
    return content_key(
        "specialize",
        prepared,
        [[entry.name, [each.name for each in entry.formats]] for entry in job.accelerators],
        [job.device.soc.model, *job.source.recipe.npu.also_devices],
        dataclasses.asdict(job.choice),
        package_digest("npuc", *packages),
    )


def _build(job: NpuProgramJob, artifact: Path, building: Path, advance: Advance) -> dict[str, Any]:
    destination, model_folder = building / NPU_FOLDER, artifact / MODEL_FOLDER
    destination.mkdir()
    legal = legalize_program(job.prepared, job.accelerators, job.choice, artifact)
    write_weights({name: entry.component for name, entry in legal.items()}, destination)
    samples, answers = load_samples(model_folder), load_answers(artifact)
    summary = {}
    for name, entry in legal.items():
        path = destination / f"{name}.onnx"
        ir.save(entry.component.model, path)
        reference = Reference(
            OnnxExecutor(model_folder / f"{name}.onnx"), joints=joined_outputs(entry.before)
        )
        formats = [layer.format for layer in job.prepared.layers[name]]
        bound = format_bound(entry.format.source_gate, formats, job.source.recipe.gates)
        drift = compare(reference, casting_executor(path), samples[name], Bound())
        summary[name] = NpuRecord(
            processor=entry.accelerator,
            scheme=entry.format.name,
            gate=entry.format.gate,
            source_gate=entry.format.source_gate,
            reason=entry.reason,
            sqnr=drift.sqnr,
            max_relative_error=drift.max_relative_error,
            precision=graph_precision(entry.before, path, answers.get(name, []), bound),
            weight_bytes=_weight_bytes(entry.component),
            weight_bytes_before=_weight_bytes(job.prepared.program.components[name]),
        ).model_dump()
        advance(1, _weight_bytes(entry.component))
    write_remarks({name: entry.remarks for name, entry in legal.items()}, destination)
    return summary


def _weight_bytes(component: Component) -> int:
    return sum(tensor.nbytes for tensor in large_initializers({component.name: component}).values())
