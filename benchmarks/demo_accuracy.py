"""Exact match of the bundled model on its test set: source in FP32, reference in FP8, binaries in emulation.

python -m benchmarks.demo_accuracy build/galaxy-s25 --binaries 60

An artifact with sub-networks has two rows for each of them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from exporter.sources import open_source
from npuc.artifact.artifact import Artifact
from npuc.demo.dataset import demo_requests
from npuc.settings.recipe import Recipe
from npuc.stages.capture.observe import program_runner
from npuc.stages.capture.options import capture_options
from program.onnx_executor import OnnxExecutor
from program.program import Executor, Request, Runner

MAX_NEW_TOKENS = 8


def main() -> None:
    """Prints one row for each way the model is executed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="made by `npuc compile demo`")
    parser.add_argument("--samples", type=int, default=None, help="test samples (default: all)")
    parser.add_argument("--binaries", type=int, default=60, help="of these, executed in emulation as well")
    arguments = parser.parse_args()
    artifact = Artifact(arguments.artifact)
    requests = demo_requests("test")[: arguments.samples]
    program = open_source("demo", capture_options(Recipe.model_validate(artifact.manifest.recipe)))
    source = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
    table = Table(title=f"exact match on the test set, device {artifact.manifest.device.id}", box=None)
    for column in ("executed", "precision", "samples", "exact match", "seconds a sample"):
        table.add_column(column, justify="right")
    table.add_row("source graph", "float32", *_score(program_runner(program), source, requests))
    names = [subnetwork.name for subnetwork in artifact.manifest.subnetworks]
    for name in names:
        network = f" of {name}" if len(names) > 1 else ""
        runner = artifact.runner(name)
        with artifact.executors(reference=True, power=name) as executors:
            row = _score(runner, executors, requests)
            table.add_row(f"reference graph{network}", "FP8 by modality", *row)
        with artifact.executors(power=name) as executors:
            row = _score(runner, executors, requests[: arguments.binaries])
            table.add_row(f"binaries{network}, emulated", _precision(artifact), *row)
    Console().print(table)


def _precision(artifact: Artifact) -> str:
    on_npu = {f"{c.npu.scheme} on {c.npu.processor}" for c in artifact.manifest.components if c.npu}
    return ", ".join(sorted(on_npu)) or "FP8 by modality"


def _score(
    runner: Runner, executors: Mapping[str, Executor], requests: Sequence[Request]
) -> tuple[str, str, str]:
    started = time.perf_counter()
    right = sum(
        runner.generate(executors, request, MAX_NEW_TOKENS).text == request.answer for request in requests
    )
    seconds = (time.perf_counter() - started) / len(requests)
    return str(len(requests)), f"{100 * right / len(requests):.1f} %", f"{seconds:.3f}"


if __name__ == "__main__":
    main()
