"""Lowers a component for the vector units and says what the artifact records of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from program.program import Component
from targets.contract.lowered import Lowered
from targets.snapdragon.hexagon.binding import encodings
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR
from targets.snapdragon.hexagon.lower import HexagonBinary, lower_hexagon
from targets.snapdragon.hexagon.processor import DEVICE, EXECUTED

NOTE = (
    f"the program for Hexagon {EXECUTED.version} runs under {HEXAGON_EMULATOR[0]}; the object file for"
    f" {DEVICE.version} has the same kernels and is compiled only"
)


def lower_and_summarise(component: Component, folder: str) -> Lowered:
    """Lowers a whole integer graph; what the worker calls.

    Args:
        component: A QDQ graph.
        folder: Existing and empty, named as the component.

    Raises:
        TargetError: A node has no integer kernel.
        ToolError: The cross compiler is missing or fails.
    """
    return _summarise(component.name, lower_hexagon(component, Path(folder)))


def _summarise(name: str, binary: HexagonBinary) -> Lowered:
    device_object = binary.device_object or ""
    digest = hashlib.sha256((binary.folder / device_object).read_bytes()).hexdigest()
    return Lowered(
        component=name,
        files=tuple(f"{name}/{file}" for file in binary.files),
        executable=f"{name}/{binary.executable}",
        emulator=HEXAGON_EMULATOR,
        arena_bytes=binary.arena_bytes,
        weight_bytes=binary.constant_bytes,
        code_bytes=binary.code_bytes + binary.constant_bytes,
        kernels=len(binary.kernels),
        calls=binary.calls,
        policy={"int8": "native"},
        executed=True,
        execution_note=NOTE,
        binding={"device object": device_object, "sha256": digest, **encodings(binary.program)},
        triple=f"hexagon-{DEVICE.version}",
    )
