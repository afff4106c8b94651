"""Manifest and report."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from npuc.artifact.manifest import (
    Budget,
    ComponentRecord,
    DeviceRecord,
    FileRecord,
    Manifest,
    SegmentRecord,
    SubnetworkRecord,
    TensorRecord,
)
from npuc.artifact.paths import ASSETS_FOLDER, MODEL_FOLDER
from npuc.artifact.report import REPORT_NAME, write_report
from npuc.caching.cache import file_sha256
from npuc.compare.records import SourceRecord
from npuc.settings.recipe import Recipe
from npuc.stages.capture.prepared import Prepared
from npuc.stages.learn.nested import Nested
from npuc.stages.place.plan import ComponentPlan, Plan, Segment
from npuc.stages.ship.budget import budgets
from npuc.stages.ship.check import Checked
from npuc.version import SCHEMA_VERSION, npuc_version, tool_versions
from program.number_format import FORMAT_NAMES
from program.program import CACHE_PREFIX, Component
from targets.contract.target import Lowered
from targets.devices.device import Device

CACHE_VALID = "valid across a switch: all sub-networks have the same keys and values"
CACHE_LOST = "not valid across a switch: key/value heads were pruned; run the prompt again"


@dataclasses.dataclass(frozen=True)
class Built:
    """Everything a compile made and measured; `sources` by component, `lowered` by segment."""

    prepared: Prepared
    plan: Plan
    sources: Mapping[str, SourceRecord]
    device: Device
    tier: str
    recipe: Recipe
    lowered: Mapping[str, Lowered]
    checked: Checked


def write_description(built: Built, folder: Path) -> None:
    """Writes `report.html` and, last, `manifest.json` with the checksum of every other file."""
    full = _full_components(built)
    limits = budgets(built.plan, full, built.device, built.lowered, folder)
    manifest = _manifest(built, limits, _files(folder))
    write_report(manifest, folder)
    report = {REPORT_NAME: _file_record(folder / REPORT_NAME)}
    manifest.model_copy(update={"files": manifest.files | report}).write(folder)


def _manifest(built: Built, limits: tuple[Budget, ...], files: dict[str, FileRecord]) -> Manifest:
    device, program = built.device, built.prepared.program
    return Manifest(
        schema_version=SCHEMA_VERSION,
        npuc_version=npuc_version(),
        tool_versions=tool_versions() | dict(built.plan.tools),
        source=program.provenance,
        family=program.family,
        settings=program.settings,
        assets=tuple(f"{ASSETS_FOLDER}/{name}" for name in sorted(program.assets)),
        device=DeviceRecord(
            id=device.id,
            name=device.name,
            soc=device.soc.name,
            tier=built.tier,
            target=device.target,
            also=built.recipe.npu.also_devices,
        ),
        recipe=built.recipe.model_dump(mode="json"),
        components=tuple(_component(built, plan) for plan in built.plan.components.values()),
        subnetworks=tuple(_subnetwork(built, network) for network in built.prepared.subnetworks),
        notes=(*built.plan.notes, *([random_inputs_note(program.drawn)] if program.drawn else [])),
        format_errors=built.prepared.format_errors,
        budgets=limits,
        files=files,
    )


def random_inputs_note(drawn: str) -> str:
    """Returns what to say of a model that was calibrated and compared on random numbers.

    Args:
        drawn: What they are, in words.
    """
    return f"calibrated and compared on {drawn}. Real inputs tell more: --calibration INPUTS.npz"


def _full_components(built: Built) -> dict[str, Component]:
    """Returns the components of the full network; those of the others stand for some of them."""
    narrowed = {name for network in built.prepared.subnetworks for name in network.components.values()}
    return {name: entry.component for name, entry in built.plan.components.items() if name not in narrowed}


def _subnetwork(built: Built, network: Nested) -> SubnetworkRecord:
    names = [network.components.get(name, name) for name in _full_components(built)]
    segments = [segment for name in names for segment in built.plan.components[name].segments]
    full = _cache(built, {})
    return SubnetworkRecord(
        name=network.name,
        components=network.components,
        operations=network.operations,
        operations_share=network.share,
        bytes_touched=sum(built.lowered[segment.name].weight_bytes for segment in segments),
        accuracy=network.accuracy,
        test_requests=network.test_requests,
        cache=CACHE_VALID if _cache(built, network.components) == full else CACHE_LOST,
    )


def _cache(built: Built, narrowed: Mapping[str, str]) -> set[TensorRecord]:
    """Returns the tensors of the KV cache that a sub-network's components read."""
    names = [narrowed.get(name, name) for name in _full_components(built)]
    specs = [spec for name in names for spec in built.plan.components[name].component.inputs]
    return {TensorRecord.of(spec) for spec in specs if spec.name.startswith(CACHE_PREFIX)}


def _component(built: Built, plan: ComponentPlan) -> ComponentRecord:
    component = plan.component
    return ComponentRecord(
        name=component.name,
        role=component.role.value,
        modality=component.modality.value,
        reference=f"{MODEL_FOLDER}/{component.name}.onnx",
        inputs=tuple(TensorRecord.of(spec) for spec in component.inputs),
        outputs=tuple(TensorRecord.of(spec) for spec in component.outputs),
        layers=built.prepared.layers[component.name],
        source=built.sources[component.name],
        npu=plan.npu,
        segments=tuple(_segment(built, plan, segment) for segment in plan.segments),
    )


def _segment(built: Built, plan: ComponentPlan, segment: Segment) -> SegmentRecord:
    lowered, device, folder = built.lowered[segment.name], built.device, segment.processor
    return SegmentRecord(
        name=segment.name,
        processor=segment.processor,
        reference=segment.reference,
        weights=segment.weights if segment.on_cpu else None,
        inputs=tuple(TensorRecord.of(spec) for spec in segment.component.inputs),
        outputs=tuple(TensorRecord.of(spec) for spec in segment.component.outputs),
        nodes=len(segment.component.model.graph),
        triple=lowered.triple or device.cpu.triple,
        features=device.cpu.features if segment.on_cpu else (),
        files=tuple(f"{folder}/{file}" for file in lowered.files),
        executable=f"{folder}/{lowered.executable}" if lowered.executable else None,
        emulator=tuple(lowered.emulator),
        arena_bytes=lowered.arena_bytes,
        weight_bytes=lowered.weight_bytes,
        code_bytes=lowered.code_bytes,
        kernels=lowered.kernels,
        policy=_policy(built, plan, segment),
        note=lowered.execution_note,
        remarks=lowered.remarks,
        binding=dict(lowered.binding),
        agreement=built.checked.segments[segment.name],
        chips=built.checked.chips.get(segment.name, {}),
    )


def _policy(built: Built, plan: ComponentPlan, segment: Segment) -> dict[str, str]:
    """Returns what becomes of the formats of the segment's graph and, on an NPU, of the prepared layers' formats."""
    policy = dict(built.lowered[segment.name].policy)
    if not segment.on_cpu:
        formats = built.device.formats.npu
        layers = {layer.format for layer in built.prepared.layers[plan.component.name]}
        policy |= {name: formats.policy(name).support for name in FORMAT_NAMES if name in layers}
    return dict(sorted(policy.items()))


def _files(folder: Path) -> dict[str, FileRecord]:
    return {
        path.relative_to(folder).as_posix(): _file_record(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _file_record(path: Path) -> FileRecord:
    return FileRecord(bytes=path.stat().st_size, sha256=file_sha256(path))
