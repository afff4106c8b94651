"""Opens what the HTP accelerator made, from its record, on the vendor's emulation."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from program.program import Executor
from targets.contract.joint import CHIP
from targets.contract.shared_weights import GRAPHS
from targets.errors import ExecutionError, ToolError
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.htp.multi_chip import require_chips
from targets.snapdragon.htp.recompiled_graph import recompile_graph
from targets.snapdragon.htp.session import HtpSession
from targets.snapdragon.socs import find_htp_soc
from targets.tools.environment import ToolEnvironment
from targets.tools.tool import Tool, find_tool

TOOL = "snapdragon"


def open_binary(
    executable: Path,
    binding: Mapping[str, str],
    graph: Path | None,
    environment: ToolEnvironment | None = None,
) -> contextlib.AbstractContextManager[Executor]:
    """Opens a prepared graph: loads it, or compiles it again where the emulation does not load the binary.

    Args:
        executable: The EPContext model.
        binding: As recorded when it was prepared.
        graph: ONNX file that it was made from; the other graphs of the binary lie beside it.
        environment: The installed tool; the user's by default.

    Raises:
        ToolError: The tool is missing, or of another version than the one that prepared the graph.
        ExecutionError: The binary has to be compiled again, but there is no graph; or it is for other chips.
    """
    environment = environment or ToolEnvironment(find_tool(TOOL))
    environment.require()
    _require_version(executable.parent, binding, environment.tool)
    binary = _context_binary(executable, binding)
    if binary.shared_by == 1 and not binary.further_socs:
        return HtpSession(binary, environment)
    if graph is None:
        raise ExecutionError(
            "the emulation does not load this binary, and its graph is not there to compile it again",
            where=str(executable),
            remedy="compile the model again",
        )
    socs = [find_htp_soc(number) for number in binding["soc_model"].split(",")]
    if len(socs) > 1:
        require_chips(binary.folder / binary.binary, socs)
    names = binding.get(GRAPHS, graph.stem).split(",")
    files = [f"{name}.onnx" for name in names] if len(names) > 1 else [executable.name]
    models = {file: graph.with_name(f"{name}.onnx") for file, name in zip(files, names, strict=True)}
    chip = find_htp_soc(binding.get(CHIP, socs[0].model))
    return recompile_graph(binary, models, chip, environment)


def _context_binary(executable: Path, binding: Mapping[str, str]) -> ContextBinary:
    names = binding.get(GRAPHS, executable.stem).split(",")
    first, *further = (int(number) for number in binding["soc_model"].split(","))
    return ContextBinary(
        folder=executable.parent,
        soc_model=first,
        compatibility=binding["compatibility"],
        sha256=binding["sha256"],
        model=executable.name,
        binary=f"{names[0]}_qnn.bin",
        further_socs=tuple(further),
        shared_by=len(names),
    )


def _require_version(folder: Path, binding: Mapping[str, str], tool: Tool) -> None:
    made_with = binding.get(tool.package, "another tool")
    if made_with != tool.version:
        raise ToolError(
            "the context binary was prepared with another version of the vendor's tool",
            where=str(folder),
            received=f"{tool.package} {made_with}; this npuc executes with {tool.version}",
            remedy="compile the model again, or open it with the npuc that wrote it",
        )
