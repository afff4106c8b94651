"""What an NPU back end offers that compiles several graphs into one binary, which stores equal weights once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from program.program import Array, Component, Feeds
from targets.contract.lowered import Lowered, Progress
from targets.devices.device import Device

GRAPHS = "graphs"
"""Key of a binding: names of all graphs in the binary, in the order of compilation; absent where there is one."""


@dataclasses.dataclass(frozen=True)
class SharedGraph:
    """One of the graphs.

    Attributes:
        component: The graph.
        file: The same as an ONNX file; its weights file lies beside it.
        samples: What it is fed after it was compiled, at least once.
    """

    component: Component
    file: Path
    samples: Sequence[Feeds]


@dataclasses.dataclass(frozen=True)
class SharedBinary:
    """The binary and what it returned when it was executed in the process that made it.

    Attributes:
        lowered: By component; all name the same binary. Its size is counted for the first component.
        outputs: By component, one mapping of outputs for each sample.
    """

    lowered: Mapping[str, Lowered]
    outputs: Mapping[str, Sequence[Mapping[str, Array]]]


@runtime_checkable
class SharesWeights(Protocol):
    """An accelerator that makes such binaries."""

    def lower_shared(
        self,
        graphs: Sequence[SharedGraph],
        device: Device,
        out_dir: Path,
        progress: Progress | None = None,
    ) -> SharedBinary:
        """Compiles graphs into one binary and executes each of them on its samples.

        Raises:
            ToolError: The tool is missing.
            TargetError: The compiler refused a graph, crashed or took too long.
        """
        ...
