"""Stage 8: what an app on the device needs beside the binaries: the segments in order, and the exact commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from npuc.segments import Plan, Segment
from npuc.stages.htp_device_files import htp_entry, htp_sessions
from npuc.stages.hvx_device_files import hvx_entry, place_sources
from npuc.templating import text_templates
from targets.coverage import Placement
from targets.device import Device
from targets.target import Lowered

DEVICE_FOLDER = "device"
SESSIONS_NAME = "sessions.json"
README_NAME = "README.md"

_CPU, _HTP, _HVX = str(Placement.CPU), str(Placement.HTP), str(Placement.HVX)


def write_device_files(
    plan: Plan,
    device: Device,
    lowered: Mapping[str, Lowered],
    subnetworks: Mapping[str, Mapping[str, str]],
    folder: Path,
) -> None:
    """Writes `device/` with `sessions.json` and a README; nothing where no segment runs on an NPU.

    HVX segments also get a folder with what is linked for them.

    Args:
        plan: What runs where.
        device: The device.
        lowered: Binaries by segment.
        subnetworks: Name → component of the full network → component that stands for it; the largest first. Each
            gets a power hint.
        folder: Of the artifact.
    """
    if all(segment.on_cpu for segment in plan.segments):
        return
    destination = folder / DEVICE_FOLDER
    destination.mkdir()
    on_htp = {segment.name: lowered[segment.name] for segment in plan.segments if segment.processor == _HTP}
    for segment in plan.segments:
        if segment.processor == _HVX:
            place_sources(lowered[segment.name], folder / _HVX, destination / _HVX)
    sessions = {
        "device": device.id,
        **(htp_sessions(plan, on_htp, subnetworks) if on_htp else {}),
        "components": {
            name: [_entry(segment, lowered[segment.name]) for segment in entry.segments]
            for name, entry in plan.components.items()
        },
    }
    text = json.dumps(sessions, indent=1, ensure_ascii=False)
    (destination / SESSIONS_NAME).write_text(text + "\n", "utf-8")
    (destination / README_NAME).write_text(_readme(plan, device, sessions), "utf-8")


_ENTRIES: Mapping[str, Callable[[Segment, Lowered], dict[str, Any]]] = {
    _CPU: lambda segment, lowered: {"program": f"cpu/{lowered.executable}", "weights": segment.weights},
    _HTP: htp_entry,
    _HVX: hvx_entry,
}


def _entry(segment: Segment, lowered: Lowered) -> dict[str, Any]:
    tensors = {
        key: [{"name": spec.name, "dtype": spec.dtype.name, "shape": list(spec.shape)} for spec in specs]
        for key, specs in (("inputs", segment.component.inputs), ("outputs", segment.component.outputs))
    }
    files = [f"{segment.processor}/{name}" for name in lowered.files]
    entry = {"name": segment.name, "processor": segment.processor, "files": files, **tensors}
    return entry | _ENTRIES[segment.processor](segment, lowered)


def _readme(plan: Plan, device: Device, sessions: Mapping[str, Any]) -> str:
    entries = [entry for row in sessions["components"].values() for entry in row]
    by_processor = {name: [e for e in entries if e["processor"] == name] for name in _ENTRIES}
    return (
        text_templates()
        .get_template("device_readme.md.j2")
        .render(
            device=device,
            sessions=sessions,
            arch=device.npu.architecture.removeprefix("v"),
            weights=sorted({segment.weights for segment in plan.segments if segment.on_cpu}),
            **by_processor,
        )
    )
