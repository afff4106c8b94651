"""What executes the binaries of an NPU on this machine, from what an artifact records of them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from program.program import Executor, Feeds, TensorSpec


class Emulator(Protocol):
    """Stands for one kind of processor; knows nothing of the device or of the model that was compiled."""

    def open(
        self,
        executable: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        binding: Mapping[str, str],
        graph: Path | None = None,
    ) -> contextlib.AbstractContextManager[Executor]:
        """Opens a binary.

        Args:
            executable: `Lowered.executable`.
            inputs: Of its graph, in order.
            outputs: Of its graph, in order.
            binding: `Lowered.binding`; its key `chip` picks one of a binary for several.
            graph: ONNX file that the binary was made from, for one that is executed by compiling it again.

        Raises:
            ToolError: The emulator is missing, or of another version than the binary was made for.
        """
        ...

    def exact_reference(self, graph: Path) -> Executor | None:
        """Returns what the binary of a graph has to equal bit by bit; None where its arithmetic is not published.

        Args:
            graph: ONNX file that the binary was made from.
        """
        ...

    def explain(
        self, graph: Path, binding: Mapping[str, str], feeds: Sequence[Feeds], min_sqnr: float
    ) -> str:
        """Says in one line where a binary that failed its bound leaves its graph.

        Args:
            graph: ONNX file that the binary was made from.
            binding: `Lowered.binding`.
            feeds: What it was fed.
            min_sqnr: dB below which a value has diverged.
        """
        ...
