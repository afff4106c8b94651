"""Compiles graphs of the same weights, such as prefill and decode of a part, into one binary."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from program.program import Array, Feeds
from targets.contract.shared_weights import SharedGraph
from targets.snapdragon.htp.compiled_graphs import CompiledGraphs
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.htp.prepare import PrepareJob, chips, context_binaries, run_prepare, take_prepared
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment


@dataclasses.dataclass(frozen=True)
class SharedBinary:
    """Graphs that share one binary.

    Attributes:
        graphs: Each graph by name; all of them name the same binary.
        outputs: What a graph with a sample returned, by graph and output.
    """

    graphs: Mapping[str, ContextBinary]
    outputs: Mapping[str, Mapping[str, Array]]

    @property
    def size(self) -> int:
        """Bytes of the binary."""
        return next(iter(self.graphs.values())).size


def prepare_shared(
    models: Mapping[str, Path],
    soc: HtpSoc | Sequence[HtpSoc],
    destination: Path,
    *,
    samples: Mapping[str, Feeds] | None = None,
    environment: ToolEnvironment | None = None,
    seconds: float = 3600.0,
) -> SharedBinary:
    """Compiles graphs into one binary that stores weights which are equal in several of them once.

    The vendor's emulation crashes when it loads such a binary from a file, but it executes the graphs in the process
    that compiled them: that is what `samples` are for.

    Args:
        models: Name (a file stem) → ONNX file as in `prepare`, in order; they may lie in different folders.
        soc: As in `prepare`.
        destination: Folder that appears when it is whole, with `<name>.onnx` for each graph and the binary; must not
            exist.
        samples: Feeds of the graphs that are to be executed, by name.
        environment: The installed tool; the user's by default.
        seconds: Time limit of all graphs together.

    Raises:
        ToolError, JobError, TargetError: As `prepare`.
    """
    files = {name: f"{name}.onnx" for name in models}
    job = PrepareJob(
        models={files[name]: model for name, model in models.items()},
        socs=chips(soc),
        destination=destination,
        seconds=seconds,
        samples={files[name]: feeds for name, feeds in (samples or {}).items()},
    )
    outputs: dict[str, dict[str, Array]] = {}
    prepared = run_prepare(job, environment, outputs)
    return SharedBinary(
        graphs={name: prepared[file] for name, file in files.items()},
        outputs={name: outputs[file] for name, file in files.items() if file in outputs},
    )


def prepare_and_run(
    graphs: Sequence[SharedGraph], soc: HtpSoc, destination: Path, environment: ToolEnvironment
) -> tuple[dict[str, ContextBinary], dict[str, list[dict[str, Array]]]]:
    """Compiles graphs into one binary and executes each on its samples, all in one process.

    Args:
        graphs: In the order of compilation; each has a sample.
        soc: The chip.
        destination: As for `prepare_shared`.
        environment: The installed tool.

    Returns:
        The prepared graphs and their outputs, by component.

    Raises:
        ToolError, JobError, TargetError: As `prepare`.
    """
    models = {f"{graph.component.name}.onnx": graph.file for graph in graphs}
    made: dict[str, ContextBinary] = {}

    def take(folder: Path, recorded: Mapping[str, Any]) -> None:
        take_prepared(models, folder, destination)
        made.update(context_binaries(models, (soc,), destination, recorded))

    compiled = CompiledGraphs(models, soc, environment, take)
    compiled.enter()
    try:
        outputs = {
            graph.component.name: [
                compiled.run(f"{graph.component.name}.onnx", feeds) for feeds in graph.samples
            ]
            for graph in graphs
        }
    finally:
        compiled.leave()
    return {graph.component.name: made[f"{graph.component.name}.onnx"] for graph in graphs}, outputs
