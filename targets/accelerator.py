"""What a back end for an NPU offers beside the CPU path of its target."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from exporter.program import Component
from targets.coverage import Coverage
from targets.device import Device
from targets.lowered import Lowered, Progress


class Accelerator(Protocol):
    """One NPU processor of a device, with a compiler and an emulator behind it.

    Attributes:
        name: Processor name in manifests, and the folder its binaries lie in.
        schemes: Number formats it computes in, the preferred one first: `float16`, `a16w8`, `a8w8`, `a16w4`
            (activation bits, weight bits); `hvx`: 8-bit integers on Hexagon's vector units.
        wide_factors: Whether it multiplies two 16-bit activations.
        exact: Whether its results equal an exact reference bit by bit (`Emulator.exact_reference`).
        exchanges_codes: Whether integer codes, and not floats, go between its segments and the CPU's.
    """

    @property
    def name(self) -> str:
        """See the class."""
        ...

    @property
    def schemes(self) -> tuple[str, ...]:
        """See the class."""
        ...

    @property
    def wide_factors(self) -> bool:
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

    def require(self) -> None:
        """Checks that the vendor's tool is installed in the version this npuc was tested with.

        Raises:
            ToolError: It is not; the remedy is the command that installs it.
        """
        ...

    def versions(self) -> dict[str, str]:
        """Versions of the tool, for the artifact and for cache keys."""
        ...

    def partition(self, component: Component, device: Device) -> Coverage:
        """Decides for each node of a graph in one of `schemes` where it runs, without the vendor's tool."""
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
            TargetError: The compiler refused the graph, crashed or took too long.
        """
        ...
