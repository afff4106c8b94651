"""What a back end for an NPU offers beside the CPU path of its target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

import onnx_ir as ir

from exporter.program import Component
from targets.coverage import Refusal
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
        exchanges_codes: Whether integer codes, and not floats, go between its segments and others.
        reason: Why it runs what it takes, for the coverage table.
        least_operations: Multiply-accumulates, or values written, from which on a run that a preferred processor
            refuses is worth a call of this one.
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

    @property
    def reason(self) -> str:
        """See the class."""
        ...

    @property
    def least_operations(self) -> int:
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

    def refusals(self, component: Component, nodes: Collection[ir.Node]) -> Mapping[ir.Node, Refusal]:
        """Says which nodes of a graph in one of `schemes` it does not take, without the vendor's tool.

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
