"""Derives the graphs for an NPU from a prepared program and measures how far they are from it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

import npuc
from exporter.onnx_executor import OnnxExecutor
from exporter.program import Component, Feeds
from npuc.agreement import Bound, Reference, compare
from npuc.artifact import MODEL_FOLDER, NPU_FOLDER
from npuc.cache import content_key, package_digest
from npuc.compare.graph_precision import casting_executor, graph_precision
from npuc.compare.joined_outputs import joined_outputs
from npuc.compare.original_answers import load_answers
from npuc.compare.precision_bound import scheme_bound
from npuc.dump_ir import IrDump
from npuc.manifest import NpuRecord
from npuc.progress import Advance
from npuc.samples import load_samples
from npuc.segments import cast_feeds
from npuc.stages.float_program import FloatProgram, load_float_program
from npuc.stages.prepare import PrepareJob, observe_program, prepare_key
from npuc.stages.prepared import Prepared
from npuc.stages.remarks import write_remarks
from npuc.stages.scheme import Choice
from npuc.weights_file import large_initializers, write_weights
from passes.htp.errors import Float16RangeError
from passes.htp.pipeline import legalize_float16
from passes.integer.choose_scheme import choose_scheme, measure_scheme
from passes.integer.encoding_plan import LEAST_SQNR
from passes.integer.quantise_for_vector_units import quantise_for_vector_units
from passes.integer.quantised_graph import is_quantised, source_scheme
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from passes.remark import Remark
from passes.value_ranges import observe_ranges
from targets.accelerator import Accelerator

VECTOR_UNITS = "hvx"
"""Scheme of Hexagon's vector units: 8 bits everywhere."""

_WIDE = Scheme.A16W8.value
"""What `auto` takes where float16 does not hold a component: 16 bits over whatever range was seen."""


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


@dataclasses.dataclass(frozen=True)
class _Derived:
    """A graph for the NPU, what it was made of, how, and why."""

    component: Component
    before: ir.Model
    scheme: str
    reason: str
    remarks: Sequence[Remark]


def npu_program(job: NpuProgramJob, folder: Path) -> NpuProgram:
    """Fills `npu/` of an artifact, from the cache where it can.

    Args:
        job: What to derive.
        folder: Of the artifact; `model/` is filled, and the float program lies there where it was trained.
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
        "specialize",
        prepared,
        job.accelerator.name,
        schemes,
        _scheme(job),
        [job.choice.measured, job.choice.reason, job.accelerator.wide_factors],
        package_digest(npuc),
    )


def _scheme(job: NpuProgramJob) -> str:
    return job.choice.scheme or ""


def _build(job: NpuProgramJob, model_folder: Path, building: Path, advance: Advance) -> dict[str, Any]:
    destination = building / NPU_FOLDER
    destination.mkdir()
    with tempfile.TemporaryDirectory(prefix=".float-", dir=building) as name:
        derived = _derive(job, model_folder.parent, Path(name))
        write_weights({name: entry.component for name, entry in derived.items()}, destination)
    samples, answers = load_samples(model_folder), load_answers(model_folder.parent)
    summary = {}
    for name, entry in derived.items():
        path = destination / f"{name}.onnx"
        ir.save(entry.component.model, path)
        reference = Reference(
            OnnxExecutor(model_folder / f"{name}.onnx"), joints=joined_outputs(entry.before)
        )
        formats = [layer.format for layer in job.prepared.layers[name]]
        bound = scheme_bound(entry.scheme, formats, job.source.recipe.gates)
        drift = compare(reference, casting_executor(path), samples[name], Bound())
        summary[name] = NpuRecord(
            processor=job.accelerator.name,
            scheme=entry.scheme,
            reason=entry.reason,
            sqnr=drift.sqnr,
            max_relative_error=drift.max_relative_error,
            precision=graph_precision(entry.before, path, answers.get(name, []), bound),
            weight_bytes=_weight_bytes(entry.component),
            weight_bytes_before=_weight_bytes(job.prepared.program.components[name]),
        ).model_dump()
        advance(1, _weight_bytes(entry.component))
    write_remarks({name: entry.remarks for name, entry in derived.items()}, destination)
    return summary


def _derive(job: NpuProgramJob, artifact: Path, folder: Path) -> dict[str, _Derived]:
    components = job.prepared.program.components
    if all(is_quantised(component.model) for component in components.values()):
        return {name: _as_it_is(component) for name, component in components.items()}
    if _scheme(job) != "float16":
        return _requantised(job, artifact, folder)
    derived, refused = _float16(job, artifact)
    if refused:
        remaining = _requantised(_without_float16(job, next(iter(refused.values()))), artifact, folder)
        derived |= {name: remaining[name] for name in _with_sharers(refused, components)}
    return {name: derived[name] for name in components}


def _as_it_is(prepared: Component) -> _Derived:
    """A graph that comes quantised keeps its integers, whatever the NPU could compute in."""
    component = dataclasses.replace(prepared, model=prepared.model.clone())
    scheme = source_scheme(component.model).value
    return _Derived(component, prepared.model, scheme, "quantised in the source: used as it is", ())


def _float16(job: NpuProgramJob, artifact: Path) -> tuple[dict[str, _Derived], dict[str, Float16RangeError]]:
    """Returns the components in float16 and, where the format is npuc's choice, those that it does not hold.

    Raises:
        Float16RangeError: float16 was asked for, and does not hold a component.
    """
    derived, refused = {}, {}
    samples = load_samples(artifact / MODEL_FOLDER)
    for name, prepared in job.prepared.program.components.items():
        component = dataclasses.replace(prepared, model=prepared.model.clone())
        feeds = [cast_feeds(feed, component.inputs) for feed in samples[name]]
        try:
            remarks = legalize_float16(component, observe_ranges(component.model, feeds))
        except Float16RangeError as error:
            if job.source.recipe.precision.npu != "auto" or _WIDE not in job.accelerator.schemes:
                raise
            refused[name] = error
            continue
        derived[name] = _Derived(component, prepared.model, _scheme(job), job.choice.reason, remarks)
    return derived, refused


def _without_float16(job: NpuProgramJob, error: Float16RangeError) -> NpuProgramJob:
    reason = f"auto: float16 does not hold {error.received}"
    return dataclasses.replace(job, choice=Choice(_WIDE, reason))


def _with_sharers(names: Collection[str], components: Mapping[str, Component]) -> set[str]:
    """Adds the components that share weights with one of those named: a shared binary has one format."""
    weights = {name: set(large_initializers({name: part})) for name, part in components.items()}
    return {
        name for name in components if any(name == other or weights[name] & weights[other] for other in names)
    }


def _requantised(job: NpuProgramJob, artifact: Path, folder: Path) -> dict[str, _Derived]:
    """Starts from the float program: rounding to FP8 first would only add its error."""
    source = load_float_program(job.prepared.program, job.prepared.subnetworks, artifact)
    if source is None:  # nothing was trained: capturing the model again gives the same
        observed = observe_program(job.source, IrDump(None), folder)
        source = FloatProgram(observed.program.components, observed.feeds)
    return {
        name: _requantised_component(job, component, source.feeds[name])
        for name, component in source.components.items()
    }


def _requantised_component(job: NpuProgramJob, component: Component, feeds: Sequence[Feeds]) -> _Derived:
    before = component.model.clone()
    if _scheme(job) == VECTOR_UNITS:
        remarks = quantise_for_vector_units(component, feeds)
        return _Derived(component, before, Scheme.A8W8.value, job.choice.reason, remarks)
    scheme, reason, least_sqnr = Scheme(_scheme(job)), job.choice.reason, LEAST_SQNR
    remarks = []
    wide_factors = job.accelerator.wide_factors
    if job.choice.measured:
        choice = choose_scheme(component, feeds, float16=False, wide_factors=wide_factors)
        scheme, reason = choice.scheme or scheme, f"{reason}; {choice.reason}"
        remarks, least_sqnr = choice.remarks(component), choice.least_sqnr
    elif scheme is Scheme.A8W8:
        row = measure_scheme(component, scheme, feeds, wide_factors=wide_factors)
        reason, least_sqnr = f"{reason}; {row.sqnr:.1f} dB against float32", row.least_sqnr
    remarks += requantize(component, scheme, feeds, wide_factors=wide_factors, least_sqnr=least_sqnr)
    return _Derived(component, before, scheme.value, reason, remarks)


def _weight_bytes(component: Component) -> int:
    return sum(tensor.nbytes for tensor in large_initializers({component.name: component}).values())
