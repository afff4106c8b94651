"""Lowers components for x86-64 Linux and executes the binaries without an emulator."""

from __future__ import annotations

import contextlib
import dataclasses
import platform
from pathlib import Path

from program.program import Component, Executor
from targets.contract.target import Lowered, Progress
from targets.devices.device import Device
from targets.errors import ToolError
from targets.tvm.cpu_target import CpuTarget


class X86Target(CpuTarget):
    """The shared CPU lowering, for boards whose binaries run on the machine that compiles them."""

    def __init__(self) -> None:
        super().__init__("x86")

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes header, C file, objects and a static program.

        Raises:
            TargetError: The component cannot be lowered.
            ToolError: The cross compiler is missing or fails.
        """
        lowered = super().lower(component, device, weights_file, out_dir, progress)
        if "float16" not in lowered.policy or "+f16c" in device.cpu.features:
            return lowered
        remark = "float16 is converted in software; the feature +f16c would do it in one instruction"
        return dataclasses.replace(lowered, remarks=(*lowered.remarks, remark))

    def execute(
        self, component: Component, lowered: Lowered, out_dir: Path, weights_file: Path
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens the program as a process of this machine.

        Raises:
            ToolError: This machine is no x86-64.
        """
        if platform.machine() != "x86_64":
            raise ToolError(
                "an x86-64 program cannot be executed here",
                where=component.name,
                received=platform.machine(),
                remedy="compile on an x86-64 machine",
            )
        return super().execute(component, lowered, out_dir, weights_file)


def create_target() -> X86Target:
    """Returns the target; the entry point names this function."""
    return X86Target()
