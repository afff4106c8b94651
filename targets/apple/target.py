"""The Apple target: a static library of Mach-O objects for the app, and a Linux twin that is executed here.

Both come from the same scheduled kernels; only LLVM's object format differs. The Mach-O objects themselves cannot be
executed outside Apple's systems, and the result says so.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from program.program import Component
from targets.contract.target import Lowered, Progress
from targets.devices.device import Device
from targets.tvm.cpu_target import CpuTarget, summarise

TWIN_TRIPLE = "aarch64-linux-musl"
TWIN_FOLDER = "twin"
_NOTE = (
    "the Mach-O library was not executed; its twin for aarch64 Linux, built from the same kernels with the same CPU "
    "features, was, under the emulator"
)


class AppleTarget(CpuTarget):
    """Lowers every node to Apple CPU code."""

    def __init__(self) -> None:
        super().__init__("apple")

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes header and static library for Apple's system, and the twin program in the folder `twin`.

        Raises:
            CoverageError: A node is refused.
            TargetError: A form of an operator has no kernel.
            ToolError: The cross compiler is missing or fails.
        """
        self.partition(component, device).require_complete()
        legal = self.legalize(component, device)
        cpu = device.cpu
        if progress is not None:
            progress(f"compile {component.name}")
        shipped = self.compile(legal, weights_file, cpu.triple, cpu.features, out_dir)
        if progress is not None:
            progress(f"compile the executable twin of {component.name}")
        twin_dir = out_dir / TWIN_FOLDER
        twin_dir.mkdir(exist_ok=True)
        twin = self.compile(legal, weights_file, TWIN_TRIPLE, cpu.features, twin_dir)
        return dataclasses.replace(
            summarise(legal, device, shipped),
            files=tuple(sorted({*shipped.files, *(f"{TWIN_FOLDER}/{file}" for file in twin.files)})),
            executable=f"{TWIN_FOLDER}/{twin.executable}",
            emulator=summarise(legal, _as_linux(device), twin).emulator,
            executed=False,
            execution_note=_NOTE,
        )


def _as_linux(device: Device) -> Device:
    return device.model_copy(update={"cpu": device.cpu.model_copy(update={"triple": TWIN_TRIPLE})})


def create_target() -> AppleTarget:
    """Returns the target."""
    return AppleTarget()
