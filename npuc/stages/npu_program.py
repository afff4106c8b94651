"""Derives the graphs for an NPU from a prepared program and measures how far they are from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir

import npuc
from exporter.onnx_executor import OnnxExecutor
from exporter.program import Component, Executor
from npuc.agreement import Bound, compare
from npuc.artifact import MODEL_FOLDER, NPU_FOLDER
from npuc.cache import content_key, package_digest
from npuc.dump_ir import IrDump
from npuc.manifest import NpuRecord
from npuc.progress import Advance
from npuc.samples import load_samples
from npuc.segments import cast_feeds
from npuc.stages.prepare import Prepared, PrepareJob, observe_program, prepare_key
from npuc.stages.remarks import write_remarks
from npuc.stages.scheme import Choice
from npuc.weights_file import large_initializers, write_weights
from passes.htp.pipeline import legalize_float16
from passes.remark import Remark
from targets.accelerator import Accelerator


@dataclasses.dataclass(frozen=True)
class NpuProgramJob:
    """What to derive.

    Attributes:
        source: What was prepared; gives model, recipe, cache and reporter.
        prepared: The result.
        accelerator: The NPU.
        choice: Its number format and why.
    """

    source: PrepareJob
    prepared: Prepared
    accelerator: Accelerator
    choice: Choice


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
        folder: Of the artifact; `model/` is filled.
    """
    names = list(job.prepared.program.components)
    with job.source.reporter.phase("specialize", len(names)) as advance:

        def build(building: Path) -> dict[str, Any]:
            return _build(job, folder / MODEL_FOLDER, building, advance)

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
    schemes = list(job.accelerator.schemes)
    return content_key(
        "specialize", prepared, job.accelerator.name, schemes, _scheme(job), package_digest(npuc)
    )


def _scheme(job: NpuProgramJob) -> str:
    return job.choice.scheme or ""


def _build(job: NpuProgramJob, model_folder: Path, building: Path, advance: Advance) -> dict[str, Any]:
    components, remarks = _derive(job)
    destination = building / NPU_FOLDER
    destination.mkdir()
    before = {name: _weight_bytes(c) for name, c in job.prepared.program.components.items()}
    write_weights(components, destination)
    samples = load_samples(model_folder)
    summary = {}
    for name, component in components.items():
        path = destination / f"{name}.onnx"
        ir.save(component.model, path)
        drift = compare(
            OnnxExecutor(model_folder / f"{name}.onnx"),
            _with_cast(OnnxExecutor(path), component),
            samples[name],
            Bound(),
        )
        summary[name] = NpuRecord(
            processor=job.accelerator.name,
            scheme=_scheme(job),
            reason=job.choice.reason,
            sqnr=drift.sqnr,
            max_relative_error=drift.max_relative_error,
            weight_bytes=_weight_bytes(component),
            weight_bytes_before=before[name],
        ).model_dump()
        advance(1, _weight_bytes(component))
    write_remarks(remarks, destination)
    return summary


def _with_cast(executor: Executor, component: Component) -> Executor:
    return lambda feeds: executor(cast_feeds(feeds, component.inputs))


def _derive(job: NpuProgramJob) -> tuple[dict[str, Component], Mapping[str, list[Remark]]]:
    if _scheme(job) == "float16":
        components = {
            name: dataclasses.replace(component, model=component.model.clone())
            for name, component in job.prepared.program.components.items()
        }
        return components, {name: legalize_float16(component) for name, component in components.items()}
    return _requantised(job)


def _requantised(job: NpuProgramJob) -> tuple[dict[str, Component], Mapping[str, list[Remark]]]:
    """Starts from the float program: rounding to FP8 first would only add its error."""
    from passes.integer.requantize import requantize
    from passes.integer.scheme import Scheme

    observed = observe_program(job.source, IrDump(None))
    components, npu = observed.program.components, job.accelerator
    remarks = {}
    for name, component in components.items():
        remarks[name] = requantize(
            component,
            Scheme(_scheme(job)),
            observed.feeds[name],
            float16="float16" in npu.schemes,
            wide_factors=npu.wide_factors,
        )
    return components, remarks


def _weight_bytes(component: Component) -> int:
    return sum(tensor.nbytes for tensor in large_initializers({component.name: component}).values())
