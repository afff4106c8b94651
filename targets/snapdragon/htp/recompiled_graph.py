"""Executes a graph of a shipped binary that the emulation does not load, by compiling the binary's graphs again.

Two compilations of the same graphs have the same EPContext files and the same size, but a few bytes of the binary
differ: the compiler pads weights with memory that it never wrote. So bytes cannot be compared. What ties the shipped
file to the graphs is its checksum: it is recorded by the process that compiled and executed it.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from program.program import Array, Feeds
from targets.errors import ExecutionError
from targets.snapdragon.htp.compiled_graphs import Compiled, CompiledGraphs
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment


class RecompiledGraph:
    """One graph of a shipped binary as a callable.

    Args:
        graphs: Shared with the binary's other graphs.
        binary: As shipped; its checksum is checked before anything is executed.
    """

    def __init__(self, graphs: CompiledGraphs, binary: ContextBinary) -> None:
        self._graphs, self._binary = graphs, binary
        self._checked = False

    def __enter__(self) -> Self:
        """Returns the graph; nothing is compiled yet."""
        self._graphs.enter()
        return self

    def __exit__(self, *raised: object) -> None:
        """Lets the process end."""
        self._graphs.leave()

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the graph.

        Args:
            feeds: One array for each graph input, in the input's shape and dtype; others are ignored.

        Returns:
            Graph outputs by name.

        Raises:
            ExecutionError: The shipped files were changed, or the compiler makes another binary of the graphs.
            ToolError: The tool is not installed.
            JobError: The tool refused the graphs or the inputs, crashed or took too long.
        """
        if not self._checked:
            self._binary.check()
            self._checked = True
        return self._graphs.run(self._binary.model, feeds)


_RUNNING: weakref.WeakValueDictionary[tuple[Path, int], CompiledGraphs] = weakref.WeakValueDictionary()
"""Processes by folder of the binary and chip: prefill and decode of one binary are opened one by one."""


def recompile_graph(
    binary: ContextBinary, models: Mapping[str, Path], soc: HtpSoc, environment: ToolEnvironment
) -> RecompiledGraph:
    """Opens a graph of a shipped binary; graphs of one binary that are open together share a process.

    Args:
        binary: As shipped. Where it has code for several chips, nothing that is made for one chip alone is like it, and
            nothing is compared.
        models: All its graphs, ONNX files by the names of the prepared files, in the order of compilation.
        soc: The chip to execute for.
        environment: The installed tool.
    """
    key = (binary.folder.resolve(), soc.soc_model)
    graphs = _RUNNING.get(key)
    if graphs is None:
        check = _ignore if binary.further_socs else _comparison(binary, models)
        graphs = _RUNNING.setdefault(key, CompiledGraphs(models, soc, environment, check))
    return RecompiledGraph(graphs, binary)


def _ignore(_folder: Path, _recorded: Mapping[str, Any]) -> None:
    """Takes any binary."""


def _comparison(shipped: ContextBinary, models: Mapping[str, Path]) -> Compiled:
    def check(folder: Path, recorded: Mapping[str, Any]) -> None:
        size = (folder / recorded["binary"]).stat().st_size
        same = [(folder / file).read_bytes() == (shipped.folder / file).read_bytes() for file in models]
        if size == shipped.size and recorded["binary"] == shipped.binary and all(same):
            return
        raise ExecutionError(
            "the compiler makes another binary of the artifact's graphs than the shipped one",
            where=str(shipped.folder / shipped.binary),
            received=f"{size} bytes instead of {shipped.size}",
            remedy="compile the model again",
        )

    return check
