"""Executes a context binary on the vendor's host emulation of HTP."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from program.program import Array, Feeds
from targets.errors import ExecutionError
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.htp.prepare import WORKER
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.process import run_job
from targets.tools.tool import find_tool


class HtpExecutor:
    """A prepared graph as a callable; each call is a fresh process.

    Args:
        binary: What `prepare` returned.
        environment: The installed tool; the user's by default.
        seconds: Time limit of one call. The emulation computes about 0.9 GMAC/s in float16 and half of that in int8.
    """

    def __init__(
        self, binary: ContextBinary, environment: ToolEnvironment | None = None, seconds: float = 600.0
    ) -> None:
        self._binary = binary
        self._environment = environment or ToolEnvironment(find_tool("snapdragon"))
        self._seconds = seconds

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the graph.

        Args:
            feeds: One array for each graph input, in the input's shape and dtype; others are ignored.

        Returns:
            Graph outputs by name.

        Raises:
            ExecutionError: The binary's files were changed, or it cannot be loaded (`require_loadable`).
            ToolError: The tool is not installed.
            JobError: The emulator refused the binary or the inputs, crashed or took too long.
        """
        require_loadable(self._binary)
        self._binary.check()
        outputs: dict[str, Array] = {}
        run_job(
            self._environment,
            WORKER,
            {"action": "run", "model": self._binary.model, "soc_model": self._binary.soc_model},
            prepare=lambda folder: self._place(feeds, folder),
            collect=lambda folder: outputs.update(_read(folder / "outputs.npz")),
            seconds=self._seconds,
        )
        return outputs

    def _place(self, feeds: Feeds, folder: Path) -> None:
        place_binary(self._binary, folder)
        np.savez(folder / "inputs.npz", **dict(feeds))  # type: ignore[arg-type]


def place_binary(binary: ContextBinary, folder: Path) -> None:
    """Puts model and binary into a job's folder.

    Raises:
        OSError: They cannot be read, or the disk is full.
    """
    for name in (binary.model, binary.binary):
        place_file(binary.folder / name, folder / name)


def require_loadable(binary: ContextBinary) -> None:
    """Checks that the emulation can load a binary; measured with onnxruntime-qnn 2.7.0.

    Raises:
        ExecutionError: It has code for several chips, of which the vendor's loader finds none on a workstation, or
            several graphs, at which it crashes.
    """
    if binary.further_socs:
        raise ExecutionError(
            "the emulation does not load a binary for several chips",
            where=str(binary.folder),
            received=f"soc_model {', '.join(map(str, (binary.soc_model, *binary.further_socs)))}",
            remedy="prepare the model for each chip alone to execute it",
        )
    if binary.shared_by > 1:
        raise ExecutionError(
            "the emulation does not load a binary that several graphs share",
            where=str(binary.folder),
            received=f"{binary.shared_by} graphs",
            remedy="give prepare_shared samples, which execute the graphs in the process that prepares them",
        )


def _read(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as values:
        return {name: values[name] for name in values.files}
