"""What an app needs for segments on HTP: sessions of ONNX Runtime's QNN provider, with options and power hints."""

from __future__ import annotations

from typing import Any

from program.templating import text_templates
from targets.contract.lowered import Lowered
from targets.contract.package import Package, PackageJob
from targets.contract.shared_weights import GRAPHS

POWER_MODES = {"burst": "burst", "balanced": "balanced", "low_power": "low_power_saver"}
"""Power hint → value of `htp_performance_mode`, an option of ONNX Runtime's QNN provider."""

_SDK_FIELD = 2
"""Field of the compatibility string that holds the version of the QNN SDK."""


def htp_package(job: PackageJob) -> Package:
    """Describes the sessions; every file the device needs is a binary already."""
    sessions = _sessions(job)
    entries = {
        segment.name: _entry(f"{job.binaries.name}/{segment.lowered.executable}", segment.lowered)
        for segment in job.segments
    }
    readme = (
        text_templates(__package__)
        .get_template("readme.md.j2")
        .render(
            device=job.device,
            sessions=sessions,
            arch=job.device.npu.architecture.removeprefix("v"),
            weights=job.cpu_weights,
            model=entries[job.segments[-1].name]["model"],
        )
    )
    return Package(entries, sessions, readme)


def _sessions(job: PackageJob) -> dict[str, Any]:
    binding = job.segments[0].lowered.binding
    return {
        "chips": list(job.chips),
        "soc_models": [int(number) for number in binding["soc_model"].split(",")],
        "runtime": {**job.tools, "qnn_sdk": binding["compatibility"].split(":")[_SDK_FIELD]},
        "provider": {"name": "QNNExecutionProvider", "options": {"backend_type": "htp"}},
        "power": {hint: {"htp_performance_mode": mode} for hint, mode in POWER_MODES.items()},
        "subnetworks": {
            name: {"power": hint, "components": dict(job.subnetworks[name])}
            for name, hint in _hints(tuple(job.subnetworks)).items()
        },
    }


def _entry(model: str, lowered: Lowered) -> dict[str, Any]:
    """How a segment's session is opened."""
    # the sessions of one binary then use the same context and its weights
    shared = {"session_config": {"ep.share_ep_contexts": "1"}} if GRAPHS in lowered.binding else {}
    binding = lowered.binding
    return shared | {"model": model, "sha256": binding["sha256"], "compatibility": binding["compatibility"]}


def _hints(subnetworks: tuple[str, ...]) -> dict[str, str]:
    """The largest sub-network runs in bursts, the smallest saves power, those between are balanced."""
    last = len(subnetworks) - 1
    return {
        name: "burst" if index == 0 else "low_power" if index == last else "balanced"
        for index, name in enumerate(subnetworks)
    }
