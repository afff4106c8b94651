"""What a back end for an NPU offers beside the CPU path of its target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import onnx_ir as ir

from program.program import Component
from targets.contract.emulator import Emulator
from targets.contract.legalize import Legalized, LegalizeJob
from targets.contract.lowered import Lowered, Progress
from targets.contract.npu_format import NpuFormat
from targets.contract.package import Package, PackageJob
from targets.devices.device import Device
from targets.placing.coverage import Refusal


class Accelerator(Protocol):
    """One NPU processor of a device, with a compiler and an emulator behind it.

    Attributes:
        name: Processor name in manifests, and the folder its binaries lie in, as `names.PROCESSOR_NAME` wants it.
        formats: Number formats it computes in, the preferred one first.
        exact: Whether its results equal an exact reference bit by bit (`Emulator.exact_reference`).
        exchanges_codes: Whether integer codes, and not floats, go between its segments and others.
        reason: Why it runs what it takes, for the coverage table.
        least_operations: Multiply-accumulates, or values written, from which on a run that a preferred processor
            refuses is worth a call of this one.
        part_megabytes: Most weights of a part, MB: a larger decoder is cut between its layers; None for any number.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def formats(self) -> tuple[NpuFormat, ...]:
        """See the class."""
        ...

    @property
    def exact(self) -> bool:
        """See the class."""
        ...

    @property
    def exchanges_codes(self) -> bool:
        """See the class."""
        ...

    @property
    def reason(self) -> str:
        """See the class."""
        ...

    @property
    def least_operations(self) -> int:
        """See the class."""
        ...

    @property
    def part_megabytes(self) -> int | None:
        """See the class."""
        ...

    def require(self) -> None:
        """Checks that the vendor's tool is installed in the version this npuc was tested with.

        Raises:
            ToolError: It is not; the remedy is the command that installs it.
        """
        ...

    def versions(self) -> dict[str, str]:
        """Versions of the tool, for the artifact and for cache keys."""
        ...

    def legalize(self, job: LegalizeJob) -> Legalized:
        """Rewrites a component, in place, to a graph that it computes in a number format.

        Raises:
            PassError: The component cannot be rewritten; `FormatRangeError` where a wider format could hold it.
        """
        ...

    def refusals(self, component: Component, nodes: Collection[ir.Node]) -> Mapping[ir.Node, Refusal]:
        """Says which nodes of a graph in one of `formats` it does not take, without the vendor's tool.

        Args:
            component: Static shapes, types inferred.
            nodes: Those of its nodes that are asked for; what runs elsewhere need not be looked at.
        """
        ...

    def lower(
        self,
        component: Component,
        device: Device,
        weights_file: Path,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> Lowered:
        """Compiles a whole graph for the NPU, as `Target.lower` does for the CPU.

        Raises:
            ToolError: The tool is missing.
            RefusedNodesError: The compiler names nodes that it does not take.
            TargetError: The compiler refused the graph, crashed or took too long.
        """
        ...

    def package(self, job: PackageJob) -> Package:
        """Says what an app on the device needs beside the binaries, and writes further files for it."""
        ...


class AcceleratorOffer(Protocol):
    """What another package offers under the entry point group `npuc.accelerators`, named as the processor.

    Attributes:
        format_names: Names of all number formats that the processor computes in, whatever the device.
    """

    @property
    def format_names(self) -> tuple[str, ...]:
        """See the class."""
        ...

    def accelerator(self, device: Device) -> Accelerator | None:
        """Returns the processor of a device; None for devices that have none."""
        ...

    def emulator(self) -> Emulator:
        """Returns what executes its binaries here."""
        ...
