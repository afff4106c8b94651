"""Stage 8: what an app on the device needs beside the binaries: sessions with their options, and the exact commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npuc.segments import Plan, Segment
from npuc.stages.hvx_device_files import write_hvx_files
from npuc.templating import text_templates
from targets.coverage import Placement
from targets.device import Device
from targets.shared_weights import GRAPHS
from targets.target import Lowered

DEVICE_FOLDER = "device"
SESSIONS_NAME = "sessions.json"
README_NAME = "README.md"

POWER_MODES = {"burst": "burst", "balanced": "balanced", "low_power": "low_power_saver"}
"""Power hint → value of `htp_performance_mode`, an option of ONNX Runtime's QNN provider."""

HVX = str(Placement.HVX)

_SDK_FIELD = 2
"""Field of the compatibility string that holds the version of the QNN SDK."""


def write_device_files(
    plan: Plan,
    device: Device,
    lowered: Mapping[str, Lowered],
    subnetworks: Mapping[str, Mapping[str, str]],
    folder: Path,
) -> None:
    """Writes `device/` with a README; nothing where no segment runs on an NPU.

    HTP segments get `sessions.json` for ONNX Runtime, HVX segments what `write_hvx_files` says.

    Args:
        plan: What runs where.
        device: The device.
        lowered: Binaries by segment.
        subnetworks: Name → component of the full network → component that stands for it; the largest first. Each
            gets a power hint.
        folder: Of the artifact.
    """
    on_npu = [segment for segment in plan.segments if not segment.on_cpu]
    if not on_npu:
        return
    if on_npu[0].processor == HVX:
        write_hvx_files(plan, device, lowered, folder)
        return
    destination = folder / DEVICE_FOLDER
    destination.mkdir()
    sessions = _sessions(plan, device, lowered, subnetworks)
    text = json.dumps(sessions, indent=1, ensure_ascii=False)
    (destination / SESSIONS_NAME).write_text(text + "\n", "utf-8")
    cpu = [segment for segment in plan.segments if segment.on_cpu]
    readme = (
        text_templates()
        .get_template("device_readme.md.j2")
        .render(
            device=device,
            sessions=sessions,
            example=f"{on_npu[-1].processor}/{lowered[on_npu[-1].name].executable}",
            arch=device.npu.architecture.removeprefix("v"),
            programs=[f"cpu/{name}" for s in cpu if (name := lowered[s.name].executable) is not None],
            weights=sorted({segment.weights for segment in cpu}),
        )
    )
    (destination / README_NAME).write_text(readme, "utf-8")


def _sessions(
    plan: Plan,
    device: Device,
    lowered: Mapping[str, Lowered],
    subnetworks: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    bindings = [lowered[segment.name].binding for segment in plan.segments if not segment.on_cpu]
    return {
        "device": device.id,
        "chips": list(plan.chips),
        "soc_models": [int(number) for number in bindings[0]["soc_model"].split(",")],
        "runtime": {**plan.tools, "qnn_sdk": bindings[0]["compatibility"].split(":")[_SDK_FIELD]},
        "provider": {"name": "QNNExecutionProvider", "options": {"backend_type": "htp"}},
        "power": {hint: {"htp_performance_mode": mode} for hint, mode in POWER_MODES.items()},
        "subnetworks": {
            name: {"power": hint, "components": dict(subnetworks[name])}
            for name, hint in _hints(tuple(subnetworks)).items()
        },
        "components": {
            name: [_session(segment, lowered[segment.name]) for segment in entry.segments]
            for name, entry in plan.components.items()
        },
    }


def _session(segment: Segment, lowered: Lowered) -> dict[str, Any]:
    files = [f"{segment.processor}/{name}" for name in lowered.files]
    tensors = {
        key: [{"name": spec.name, "dtype": spec.dtype.name, "shape": list(spec.shape)} for spec in specs]
        for key, specs in (("inputs", segment.component.inputs), ("outputs", segment.component.outputs))
    }
    entry: dict[str, Any] = {"name": segment.name, "processor": segment.processor, "files": files, **tensors}
    if segment.on_cpu:
        return entry | {"weights": segment.weights}
    if GRAPHS in lowered.binding:
        # the sessions of one binary then use the same context and its weights
        entry["session_config"] = {"ep.share_ep_contexts": "1"}
    return entry | {
        "model": f"{segment.processor}/{lowered.executable}",
        "sha256": lowered.binding["sha256"],
        "compatibility": lowered.binding["compatibility"],
    }


def _hints(subnetworks: tuple[str, ...]) -> dict[str, str]:
    """The largest sub-network runs in bursts, the smallest saves power, those between are balanced."""
    last = len(subnetworks) - 1
    return {
        name: "burst" if index == 0 else "low_power" if index == last else "balanced"
        for index, name in enumerate(subnetworks)
    }
