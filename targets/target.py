"""What a target is: the back end that turns components into binaries for a family of devices."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from exporter.program import Component, Executor
from targets.coverage import Coverage
from targets.device import Device
from targets.estimate import Estimate

Progress = Callable[[str], None]
"""Told the name of each step when it begins."""


@dataclasses.dataclass(frozen=True)
class Lowered:
    """What was made of one component. JSON-able by `dataclasses.asdict`.

    Attributes:
        component: Name.
        files: Written files, relative to the output folder, sorted.
        executable: The file among them that can be executed here, if any.
        emulator: Command that executes it; empty if it runs natively.
        arena_bytes: Scratch memory of a run.
        weight_bytes: Bytes of the weights file the component reads.
        code_bytes: Bytes of the compiled kernels.
        kernels: Number of distinct kernels; equal layers share theirs.
        calls: Number of kernel calls of a run.
        policy: Format name → what the device does with it (native, storage, requantised), for the formats used.
        executed: Whether the shipped binary itself can be executed here.
        execution_note: How, or why not and what is executed in its place.
        remarks: What a user should know, such as products without a tuned loop order.
    """

    component: str
    files: tuple[str, ...]
    executable: str | None
    emulator: tuple[str, ...]
    arena_bytes: int
    weight_bytes: int
    code_bytes: int
    kernels: int
    calls: int
    policy: Mapping[str, str]
    executed: bool
    execution_note: str
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restores what `dataclasses.asdict` and JSON made of one.

        Raises:
            TypeError: A field is missing or unknown.
        """
        tuples = {"files", "emulator", "remarks"}
        restored: dict[str, Any] = {k: tuple(v) if k in tuples else v for k, v in values.items()}
        return cls(**restored)


class Target(Protocol):
    """A back end. Third parties add one under the entry point group `npuc.targets`."""

    name: str

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
