"""What a target is: the back end that turns components into binaries for a family of devices."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from program.program import Component, Executor
from targets.contract.accelerator import Accelerator
from targets.contract.emulator import Emulator
from targets.contract.lowered import Lowered, Progress
from targets.devices.device import Device
from targets.placing.coverage import Coverage
from targets.placing.estimate import Estimate

__all__ = ["Lowered", "Progress", "Target"]


class Target(Protocol):
    """A back end. Third parties add one under the entry point group `npuc.targets`.

    Attributes:
        name: In device files.
        format_names: Names of all number formats that an NPU of its devices computes in.
        emulators: Programs that execute its binaries here → the command that installs each.
    """

    name: str
    format_names: tuple[str, ...]
    emulators: Mapping[str, str]

    def legalize(self, component: Component, device: Device) -> Component:
        """Returns the component in the form the back end lowers; does not change its argument.

        Raises:
            TargetError: There is no such form.
        """
        ...

    def partition(self, component: Component, device: Device) -> Coverage:
        """Decides for each node where it runs."""
        ...

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Writes the component's binaries.

        Args:
            component: Its large initializers are external tensors of `weights_file`.
            device: Device to lower for.
            weights_file: The shared weights.
            out_dir: Existing folder.
            progress: Told the steps.

        Raises:
            TargetError: The component cannot be lowered.
            ToolError: A tool is missing or failed.
        """
        ...

    def execute(
        self, component: Component, lowered: Lowered, out_dir: Path, weights_file: Path
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens the binary (or its twin) for execution on this machine.

        Raises:
            ToolError: The emulator is missing.
        """
        ...

    def estimate(self, component: Component, device: Device) -> Estimate:
        """Estimates the cost of a run from the graph."""
        ...

    def accelerators(self, device: Device) -> Sequence[Accelerator]:
        """Returns the back ends of the device's NPU, the preferred one first; without any, the CPU runs everything."""
        ...

    def emulator(self, processor: str) -> Emulator | None:
        """Returns what executes the binaries of an NPU processor here; None for a name that the target never gave."""
        ...
