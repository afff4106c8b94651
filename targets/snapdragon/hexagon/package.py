"""What an app needs for segments on Hexagon's vector units: objects to link, with their sources, and a description."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from program.templating import text_templates
from targets.contract.lowered import Lowered
from targets.contract.package import Package, PackagedSegment, PackageJob


def hvx_package(job: PackageJob) -> Package:
    """Copies what is linked on the device: not the program for the emulator, nor its kernels."""
    for segment in job.segments:
        for name in _device_files(segment.lowered):
            (job.destination / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(job.binaries / name, job.destination / name)
    folder = f"{job.destination.parent.name}/{job.destination.name}"
    entries = {segment.name: _entry(segment, folder) for segment in job.segments}
    units = [{"name": segment.name, **entries[segment.name]} for segment in job.segments]
    template = text_templates(__package__).get_template("readme.md.j2")
    return Package(entries, {}, template.render(device=job.device, hvx=units))


def _entry(segment: PackagedSegment, folder: str) -> dict[str, Any]:
    """What is linked, and the scale and zero point of the codes that the kernels read or write."""
    lowered = segment.lowered
    return {
        "triple": lowered.triple,
        "executed": False,
        "files": [f"{folder}/{name}" for name in _device_files(lowered)],
        "object": lowered.binding["device object"],
        "sha256": lowered.binding["sha256"],
        "arena_bytes": lowered.arena_bytes,
        "codes": _codes(segment),
    }


def _device_files(lowered: Lowered) -> list[str]:
    wanted = lowered.binding["device object"]
    sources = [name for name in lowered.files if name.endswith((".c", ".h"))]
    return [*sources, *(name for name in lowered.files if Path(name).name == wanted)]


def _codes(segment: PackagedSegment) -> dict[str, Any]:
    binding = segment.lowered.binding
    return {
        spec.name: {
            "scale": float(binding[f"scale of {spec.name}"]),
            "zero_point": int(binding[f"zero point of {spec.name}"]),
        }
        for spec in (*segment.inputs, *segment.outputs)
        if f"scale of {spec.name}" in binding
    }
