"""What an app needs for segments on HTP: sessions of ONNX Runtime's QNN provider, with options and power hints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npuc.segments import Plan, Segment
from targets.shared_weights import GRAPHS
from targets.target import Lowered

POWER_MODES = {"burst": "burst", "balanced": "balanced", "low_power": "low_power_saver"}
"""Power hint → value of `htp_performance_mode`, an option of ONNX Runtime's QNN provider."""

_SDK_FIELD = 2
"""Field of the compatibility string that holds the version of the QNN SDK."""


def htp_sessions(
    plan: Plan, lowered: Mapping[str, Lowered], subnetworks: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Returns what all sessions have in common.

    Args:
        plan: What runs where.
        lowered: Binaries by segment on HTP, at least one.
        subnetworks: Name → component of the full network → component that stands for it; the largest first.
    """
    binding = next(iter(lowered.values())).binding
    return {
        "chips": list(plan.chips),
        "soc_models": [int(number) for number in binding["soc_model"].split(",")],
        "runtime": {**plan.tools, "qnn_sdk": binding["compatibility"].split(":")[_SDK_FIELD]},
        "provider": {"name": "QNNExecutionProvider", "options": {"backend_type": "htp"}},
        "power": {hint: {"htp_performance_mode": mode} for hint, mode in POWER_MODES.items()},
        "subnetworks": {
            name: {"power": hint, "components": dict(subnetworks[name])}
            for name, hint in _hints(tuple(subnetworks)).items()
        },
    }


def htp_entry(segment: Segment, lowered: Lowered) -> dict[str, Any]:
    """Returns how a segment's session is opened."""
    # the sessions of one binary then use the same context and its weights
    shared = {"session_config": {"ep.share_ep_contexts": "1"}} if GRAPHS in lowered.binding else {}
    return shared | {
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
