"""What an app needs for segments on Hexagon's vector units: objects to link, with their sources, and a description."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.program import TensorSpec
from npuc.segments import Segment
from targets.target import Lowered


def place_sources(lowered: Lowered, binaries: Path, destination: Path) -> None:
    """Copies what is linked on the device: not the program for the emulator, nor its kernels.

    Args:
        lowered: The segment's binaries.
        binaries: Folder of the artifact that its file names are relative to.
        destination: Where the copies go.
    """
    for name in _device_files(lowered):
        (destination / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(binaries / name, destination / name)


def hvx_entry(segment: Segment, lowered: Lowered) -> dict[str, Any]:
    """Returns what is linked, and the scale and zero point of the codes that the kernels read or write."""
    specs = [*segment.component.inputs, *segment.component.outputs]
    return {
        "triple": lowered.triple,
        "executed": False,
        "files": [f"device/{segment.processor}/{name}" for name in _device_files(lowered)],
        "object": lowered.binding["device object"],
        "sha256": lowered.binding["sha256"],
        "arena_bytes": lowered.arena_bytes,
        "codes": _codes(specs, lowered.binding),
    }


def _device_files(lowered: Lowered) -> list[str]:
    wanted = lowered.binding["device object"]
    sources = [name for name in lowered.files if name.endswith((".c", ".h"))]
    return [*sources, *(name for name in lowered.files if Path(name).name == wanted)]


def _codes(specs: Sequence[TensorSpec], binding: Mapping[str, str]) -> dict[str, Any]:
    return {
        spec.name: {
            "scale": float(binding[f"scale of {spec.name}"]),
            "zero_point": int(binding[f"zero point of {spec.name}"]),
        }
        for spec in specs
        if f"scale of {spec.name}" in binding
    }
