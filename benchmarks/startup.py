"""How long short commands take: `python -m benchmarks.startup`.

Each command runs in a process of its own, in turns, so that a busy machine slows all of them alike. The last columns
are ratios to `python -c "import onnx, onnx_ir"`, which whatever rewrites a graph has to wait for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

DEVICE = "vivo-x200"
BASE = "import onnx, onnx_ir"


class Run(NamedTuple):
    """One run: seconds on the clock, and seconds of processor time of the process and of those it started."""

    wall: float
    cpu: float


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description="Times the start of npuc's commands.")
    parser.add_argument("--rounds", type=int, default=5, help="Runs of each command.")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="npuc-startup-") as name:
        folder = Path(name)
        environment = os.environ | {"NPUC_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        lines = {BASE: ["-c", BASE], **npuc_lines(folder)}
        for line in lines.values():
            run(line, environment)  # reads the files from the disk, and fills the cache
        runs: dict[str, list[Run]] = {name: [] for name in lines}
        for _ in range(rounds):
            for name, line in lines.items():
                runs[name].append(run(line, environment))
    print(table(runs))
    print(f"\n{rounds} rounds, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")


def npuc_lines(folder: Path) -> dict[str, list[str]]:
    """Returns the arguments of Python for each command.

    Args:
        folder: For models and artifacts.
    """
    (folder / "empty.onnx").touch()
    (folder / "damaged.onnx").write_bytes(b"no protocol buffer")
    write_model(folder / "unknown.onnx", "Addition")
    write_model(folder / "add.onnx", "Add")
    out = ["--device", DEVICE, "-o", str(folder / "out"), "--quiet"]
    commands = {
        "npuc --help": ["--help"],
        "npuc devices": ["devices"],
        "npuc coverage --help": ["coverage", "--help"],
        "npuc verify, not an artifact": ["verify", str(folder)],
        "npuc compile, unknown device": ["compile", str(folder / "add.onnx"), *out, "--device", "none"],
        "npuc compile, empty file": ["compile", str(folder / "empty.onnx"), *out],
        "npuc compile, damaged file": ["compile", str(folder / "damaged.onnx"), *out],
        "npuc compile, unknown operator": ["compile", str(folder / "unknown.onnx"), *out],
        "npuc compile, one Add, all in the cache": ["compile", str(folder / "add.onnx"), *out],
    }
    lines = {name: ["-m", "npuc", *arguments] for name, arguments in commands.items()}
    # --dump-ir leaves out the cache of graphs: read and rewritten again, with finished binaries
    dumped = ["compile", str(folder / "add.onnx"), *out, "--dump-ir", str(folder / "dump")]
    lines["npuc compile, one Add, binaries in the cache"] = ["-m", "npuc", *dumped]
    return lines


def write_model(path: Path, op_type: str) -> None:
    """Writes a graph of one node with two inputs."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    output = helper.make_tensor_value_info("z", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph([helper.make_node(op_type, ["x", "y"], ["z"])], "g", inputs, [output])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)


def run(arguments: list[str], environment: dict[str, str]) -> Run:
    """Runs Python once; a refusal is what some commands are for."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)
    wall, after = time.perf_counter() - started, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(wall, cpu)


def table(runs: dict[str, list[Run]]) -> str:
    """Returns the rows: least and median seconds, processor seconds, and ratios of the least ones."""
    rows = [
        "| command | min s | median s | CPU s | ratio | CPU ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    wall = {name: min(entry.wall for entry in entries) for name, entries in runs.items()}
    cpu = {name: min(entry.cpu for entry in entries) for name, entries in runs.items()}
    for name, entries in runs.items():
        median = statistics.median(entry.wall for entry in entries)
        ratios = f"{wall[name] / wall[BASE]:.2f} | {cpu[name] / cpu[BASE]:.2f}"
        rows.append(f"| {name} | {wall[name]:.2f} | {median:.2f} | {cpu[name]:.2f} | {ratios} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
