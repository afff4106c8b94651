"""What an app needs for segments on Hexagon's vector units: objects to link, with their sources, and a description."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.program import TensorSpec
from npuc.segments import Plan, Segment
from npuc.templating import text_templates
from targets.device import Device
from targets.target import Lowered

SEGMENTS_NAME = "segments.json"


def write_hvx_files(plan: Plan, device: Device, lowered: Mapping[str, Lowered], folder: Path) -> None:
    """Writes `hvx/<segment>/` (sources and object file), `segments.json` and `README.md`.

    Args:
        plan: What runs where.
        device: The device.
        lowered: Binaries by segment.
        folder: Of the artifact.
    """
    destination = folder / "device"
    destination.mkdir()
    for segment in plan.segments:
        if not segment.on_cpu:
            _place_sources(lowered[segment.name], folder / segment.processor, destination / segment.processor)
    segments = [_entry(segment, lowered[segment.name]) for segment in plan.segments]
    description = {"device": device.id, "segments": segments}
    text = json.dumps(description, indent=1, ensure_ascii=False)
    (destination / SEGMENTS_NAME).write_text(text + "\n", "utf-8")
    readme = (
        text_templates()
        .get_template("device_readme_hvx.md.j2")
        .render(
            device=device,
            units=[entry for entry in segments if entry["processor"] != "cpu"],
            programs=[entry for entry in segments if entry["processor"] == "cpu"],
        )
    )
    (destination / "README.md").write_text(readme, "utf-8")


def _place_sources(lowered: Lowered, binaries: Path, destination: Path) -> None:
    """Copies what is linked on the device: not the program for the emulator, nor its kernels."""
    for name in _device_files(lowered):
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(binaries / name, destination / name)


def _device_files(lowered: Lowered) -> list[str]:
    wanted = lowered.binding["device object"]
    sources = [name for name in lowered.files if name.endswith((".c", ".h"))]
    return [*sources, *(name for name in lowered.files if Path(name).name == wanted)]


def _entry(segment: Segment, lowered: Lowered) -> dict[str, Any]:
    tensors = {
        key: [_tensor(spec, lowered.binding) for spec in specs]
        for key, specs in (("inputs", segment.component.inputs), ("outputs", segment.component.outputs))
    }
    entry: dict[str, Any] = {"name": segment.name, "processor": segment.processor, **tensors}
    if segment.on_cpu:
        return entry | {"program": f"cpu/{lowered.executable}", "weights": segment.weights}
    return entry | {
        "triple": lowered.triple,
        "executed": False,
        "files": [f"device/{segment.processor}/{name}" for name in _device_files(lowered)],
        "object": lowered.binding["device object"],
        "sha256": lowered.binding["sha256"],
        "arena_bytes": lowered.arena_bytes,
    }


def _tensor(spec: TensorSpec, binding: Mapping[str, str]) -> dict[str, Any]:
    """Type and shape in the graph; scale and zero point of the codes that the kernels read or write."""
    entry: dict[str, Any] = {"name": spec.name, "dtype": spec.dtype.name, "shape": list(spec.shape)}
    if f"scale of {spec.name}" in binding:
        entry["scale"] = float(binding[f"scale of {spec.name}"])
        entry["zero_point"] = int(binding[f"zero point of {spec.name}"])
    return entry
