"""Which processor of the device runs which part of every component.

Without an NPU back end that is the CPU, and the graphs are the prepared ones. An NPU gets graphs of its own, in a
number format it computes in, with weights and reference graphs in `npu/`. Those files are for verification and do
not go onto the device, where the NPU's binaries hold their weights.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.manifest import NpuRecord
from npuc.artifact.paths import MODEL_FOLDER, NPU_FOLDER
from npuc.compare.binary.agreement import Bound, bound_for, npu_bound
from npuc.stages.capture.prepare_job import PrepareJob
from npuc.stages.capture.prepared import Prepared
from npuc.stages.place.npu_program import NpuProgram, NpuProgramJob, npu_program
from npuc.stages.place.plan import ComponentPlan, Plan, Segment
from npuc.stages.place.scheme import NpuChoice
from npuc.terminal.coverage_table import coverage_json
from passes.cut.layer_plan import rounding_steps
from passes.cut.split_layers import split_layers
from passes.cut.split_program import part_bytes, plan_parts
from passes.integer.quantised_graph import has_integer_weight, is_quantised, source_scheme
from program.program import Component, Role
from targets.contract.accelerator import Accelerator
from targets.contract.names import CPU
from targets.contract.npu_format import STANDARD
from targets.contract.registry import find_target
from targets.devices.device import Device
from targets.placing.coverage import Coverage
from targets.placing.placement import RefusedNodes, place_component
from targets.placing.segmentation import Part, split_component

COVERAGE_NAME = "coverage.json"
"""Where each node runs and why; written where there is an NPU."""


@dataclasses.dataclass(frozen=True)
class SpecializeJob:
    """What to specialise.

    Attributes:
        source: What was prepared; gives model, recipe, cache and reporter.
        prepared: The result.
        device: Device to compile for.
        accelerators: Its NPU processors, the preferred one first; empty where npuc has no back end for it.
        choice: What the NPU computes in, if it is used.
        chips: Chips that each NPU binary has code for, where they are several.
    """

    source: PrepareJob
    prepared: Prepared
    device: Device
    accelerators: Sequence[Accelerator]
    choice: NpuChoice
    chips: tuple[str, ...] = ()


def specialize(job: SpecializeJob, folder: Path) -> NpuProgram | None:
    """Fills `npu/` where there is an NPU.

    Args:
        job: What to specialise.
        folder: Of the artifact.

    Returns:
        The graphs for the NPU; None where everything runs on the CPU.
    """
    if not job.accelerators or job.choice.format is None:
        return None
    return npu_program(
        NpuProgramJob(job.source, job.prepared, job.device, job.accelerators, job.choice), folder
    )


def plan_processors(
    job: SpecializeJob, program: NpuProgram | None, folder: Path, refused: RefusedNodes | None = None
) -> Plan:
    """Decides which processor runs what.

    Args:
        job: What was specialised.
        program: From `specialize`.
        folder: Of the artifact.
        refused: Processor → names of nodes that its compiler has refused.

    Raises:
        CoverageError: A node runs nowhere.
    """
    choice, components = job.choice, job.prepared.program.components
    if program is None:
        return Plan({name: _on_cpu(job, component) for name, component in components.items()}, choice.notes)
    coverages = {name: _place(job, program, name, refused or {}) for name in program.components}
    for coverage in coverages.values():
        coverage.require_complete()
        job.source.reporter.note(_summary(coverage))
    text = json.dumps(coverage_json(coverages.values()), indent=1, ensure_ascii=False)
    (folder / COVERAGE_NAME).write_text(text + "\n", "utf-8")
    ends = _cuts(job, program, coverages)
    plans = {name: _plan(job, program, coverages[name], ends, folder) for name in components}
    return Plan(plans, choice.notes, _versions(job, plans.values()), job.chips)


def discard_plan(plan: Plan, folder: Path) -> None:
    """Removes the binaries and graphs of parts that were made for a plan which is given up.

    Args:
        plan: From `plan_processors`.
        folder: Of the artifact.
    """
    for processor in {segment.processor for segment in plan.segments}:
        shutil.rmtree(folder / processor, ignore_errors=True)
    for entry in plan.components.values():
        for segment in entry.segments:
            if segment.component is not entry.component:
                (folder / segment.reference).unlink(missing_ok=True)


def _place(job: SpecializeJob, program: NpuProgram, name: str, refused: RefusedNodes) -> Coverage:
    """Places a component that has the form of one accelerator on that one, and on those behind it."""
    component = program.components[name]
    names = [entry.name for entry in job.accelerators]
    usable = job.accelerators[names.index(program.records[name].processor) :]
    on_cpu = find_target(job.device.target).partition(component, job.device)
    return place_component(component, usable, on_cpu, refused)


def _versions(job: SpecializeJob, plans: Iterable[ComponentPlan]) -> dict[str, str]:
    """Versions of the tools of the processors in use."""
    used = {segment.processor for plan in plans for segment in plan.segments}
    entries = [entry for entry in job.accelerators if entry.name in used]
    return {tool: version for entry in entries for tool, version in entry.versions().items()}


def _summary(coverage: Coverage) -> str:
    counts = ", ".join(f"{count} on {place}" for place, count in coverage.counts().items())
    return f"{coverage.component:<16} {len(coverage.nodes)} nodes: {counts}"


def _cuts(job: SpecializeJob, program: NpuProgram, coverages: Mapping[str, Coverage]) -> tuple[int, ...]:
    """Returns where decoders are cut into parts, prefill and decode at the same layers; empty where they fit whole."""
    limit = _part_bytes(job)
    if limit is None:
        return ()
    decoders = [c for c in program.components.values() if _is_cuttable(c, coverages[c.name])]
    if all(part_bytes(component) <= limit for component in decoders):
        return ()
    return plan_parts(decoders, limit)


def _part_bytes(job: SpecializeJob) -> int | None:
    """Most bytes of weights of a part: the recipe's word, else what the preferred accelerator says."""
    megabytes = job.source.recipe.npu.part_megabytes or job.accelerators[0].part_megabytes
    return None if megabytes is None else megabytes * 10**6


def _is_cuttable(component: Component, coverage: Coverage) -> bool:
    is_decoder = component.role in (Role.PREFILL, Role.DECODE)
    return is_decoder and len({row.placement for row in coverage.nodes}) == 1


def _parts(component: Component, coverage: Coverage, ends: tuple[int, ...], codes: bool) -> tuple[Part, ...]:
    if len(ends) > 1 and _is_cuttable(component, coverage):
        processor = coverage.nodes[0].placement
        return tuple(Part(processor, part) for part in split_layers(component, ends))
    return split_component(component, coverage, codes=codes)


def _plan(
    job: SpecializeJob, program: NpuProgram, coverage: Coverage, ends: tuple[int, ...], folder: Path
) -> ComponentPlan:
    name = coverage.component
    component, record = program.components[name], program.records[name]
    parts = _parts(component, coverage, ends, _exchange_codes(job, coverage))
    if all(part.processor == CPU for part in parts):
        return dataclasses.replace(_on_cpu(job, job.prepared.program.components[name]), coverage=coverage)
    segments = []
    for part in parts:
        if part.component is not component:
            # the graphs share the weights file of the whole component
            ir.save(part.component.model, folder / NPU_FOLDER / f"{part.component.name}.onnx")
        bound = _part_bound(job, name, record, part)
        segments.append(Segment(part.component, str(part.processor), NPU_FOLDER, bound))
    used = {segment.processor for segment in segments}
    names = ", ".join(entry.name for entry in job.accelerators if entry.name in used)
    record = record.model_copy(update={"processor": names})
    return ComponentPlan(component, tuple(segments), record, coverage)


def _exchange_codes(job: SpecializeJob, coverage: Coverage) -> bool:
    used = {str(row.placement) for row in coverage.nodes}
    return any(entry.exchanges_codes for entry in job.accelerators if entry.name in used)


def _part_bound(job: SpecializeJob, component: str, record: NpuRecord, part: Part) -> Bound:
    gates, model = job.source.recipe.gates, part.component.model
    if part.processor == CPU:
        # a last bit that differs before a rounding to codes moves a value by a whole step
        formats = ("int8",) if is_quantised(model) else ()
        return bound_for(formats, job.source.recipe.precision.base, gates)
    if is_quantised(job.prepared.program.components[component].model):
        # a graph that comes quantised does not say which module a node is from: each product counts
        layers = sum(map(has_integer_weight, model.graph))
    else:
        layers = rounding_steps(model.graph, has_modules=Path(job.source.model).suffix != ".onnx")
    (exact,) = (entry.exact for entry in job.accelerators if entry.name == str(part.processor))
    # the vector units compute in 8 bits where the rest of the graph may have more
    gate = STANDARD[source_scheme(model).value].gate if exact else record.gate
    bound = npu_bound(gate, gates, layers)
    return dataclasses.replace(bound, exact=exact)


def _on_cpu(job: SpecializeJob, component: Component) -> ComponentPlan:
    segment = Segment(component, CPU, MODEL_FOLDER, _cpu_bound(job, component.name))
    return ComponentPlan(component, (segment,))


def _cpu_bound(job: SpecializeJob, component: str) -> Bound:
    formats = {layer.format for layer in job.prepared.layers[component]}
    return bound_for(formats, job.source.recipe.precision.base, job.source.recipe.gates)
