"""What an app on the device needs beside the binaries: the segments in order, and the exact commands."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from npuc.stages.place.plan import Plan, Segment
from program.templating import text_templates
from targets.contract.accelerator import Accelerator
from targets.contract.lowered import Lowered
from targets.contract.names import CPU
from targets.contract.package import Package, PackagedSegment, PackageJob
from targets.devices.device import Device

DEVICE_FOLDER = "device"
SESSIONS_NAME = "sessions.json"
README_NAME = "README.md"


@dataclasses.dataclass(frozen=True)
class DeviceJob:
    """What to describe.

    Attributes:
        plan: What runs where.
        device: The device.
        accelerators: Its NPU processors.
        lowered: Binaries by segment.
        subnetworks: Name → component of the full network → component that stands for it; the largest first. Each
            gets a power hint.
    """

    plan: Plan
    device: Device
    accelerators: Sequence[Accelerator]
    lowered: Mapping[str, Lowered]
    subnetworks: Mapping[str, Mapping[str, str]]


def write_device_files(job: DeviceJob, folder: Path) -> None:
    """Writes `device/` with `sessions.json`, a README and what processors want; nothing where the CPU runs everything.

    Args:
        job: What to describe.
        folder: Of the artifact.
    """
    if all(segment.on_cpu for segment in job.plan.segments):
        return
    destination = folder / DEVICE_FOLDER
    destination.mkdir()
    packages = _packages(job, folder)
    sessions = {
        "device": job.device.id,
        **{key: value for package in packages.values() for key, value in package.sessions.items()},
        "components": {
            name: [_entry(segment, job.lowered[segment.name], packages) for segment in entry.segments]
            for name, entry in job.plan.components.items()
        },
    }
    text = json.dumps(sessions, indent=1, ensure_ascii=False)
    (destination / SESSIONS_NAME).write_text(text + "\n", "utf-8")
    readme = text_templates("npuc", "templates").get_template("device_readme.md.j2")
    sections = Markup("\n").join(Markup(package.readme) for package in packages.values())  # noqa: S704 (Markdown)
    (destination / README_NAME).write_text(readme.render(device=job.device, sections=sections), "utf-8")


def _packages(job: DeviceJob, folder: Path) -> dict[str, Package]:
    """By processor in use, the CPU last."""
    by_processor: dict[str, list[Segment]] = {}
    for segment in job.plan.segments:
        by_processor.setdefault(segment.processor, []).append(segment)
    on_cpu = by_processor.pop(CPU, [])
    weights = sorted({segment.weights for segment in on_cpu})
    packages = {}
    for accelerator in job.accelerators:
        if segments := by_processor.get(accelerator.name):
            packages[accelerator.name] = accelerator.package(
                PackageJob(
                    device=job.device,
                    segments=[_packaged(segment, job.lowered[segment.name]) for segment in segments],
                    binaries=folder / accelerator.name,
                    destination=folder / DEVICE_FOLDER / accelerator.name,
                    tools=job.plan.tools,
                    chips=job.plan.chips,
                    subnetworks=job.subnetworks,
                    cpu_weights=weights,
                )
            )
    return packages | ({CPU: _cpu_package(on_cpu, job.lowered, weights)} if on_cpu else {})


def _packaged(segment: Segment, lowered: Lowered) -> PackagedSegment:
    return PackagedSegment(segment.name, segment.component.inputs, segment.component.outputs, lowered)


def _cpu_package(
    segments: Sequence[Segment], lowered: Mapping[str, Lowered], weights: Sequence[str]
) -> Package:
    entries = {
        segment.name: {"program": f"{CPU}/{lowered[segment.name].executable}", "weights": segment.weights}
        for segment in segments
    }
    template = text_templates("npuc", "templates").get_template("device_readme_cpu.md.j2")
    return Package(entries, {}, template.render(cpu=list(entries.values()), weights=weights))


def _entry(segment: Segment, lowered: Lowered, packages: Mapping[str, Package]) -> dict[str, Any]:
    tensors = {
        key: [{"name": spec.name, "dtype": spec.dtype.name, "shape": list(spec.shape)} for spec in specs]
        for key, specs in (("inputs", segment.component.inputs), ("outputs", segment.component.outputs))
    }
    files = [f"{segment.processor}/{name}" for name in lowered.files]
    entry = {"name": segment.name, "processor": segment.processor, "files": files, **tensors}
    return entry | dict(packages[segment.processor].entries[segment.name])
