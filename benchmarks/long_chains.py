"""How the time of each stage of a compile grows with the length of a chain of small operators.

    python benchmarks/long_chains.py 250 500 1000 2000

Prints the seconds of each stage, and the exponent p of seconds ~ nodes^p between the shortest and the longest chain.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from npuc.api import compile_model
from npuc.terminal.progress import Advance

_SHAPE = (1, 8)
_KINDS = {"elementwise": ("Relu", "Add", "Mul"), "product": ("MatMul", "Relu")}


class StageTimes:
    """A reporter that keeps the seconds of each phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str, steps: int) -> Iterator[Advance]:  # noqa: ARG002 (protocol)
        """Times a phase."""
        started = time.monotonic()
        yield lambda _steps, _bytes: None
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    def note(self, text: str) -> None:
        """Drops the line."""


def write_chain(operators: tuple[str, ...], length: int, path: Path) -> None:
    """Writes a model of `length` nodes, one after the other, that take the operators in turn."""
    weights = {
        "Add": np.full(_SHAPE, 0.5, np.float32),
        "Mul": np.full(_SHAPE, 1.0, np.float32),
        "MatMul": np.eye(_SHAPE[1], dtype=np.float32) * 0.9 + 0.01,
    }
    names = ["x", *(f"v{number}" for number in range(length - 1)), "y"]
    nodes = []
    for number in range(length):
        operator = operators[number % len(operators)]
        inputs = [names[number], *([operator.lower()] if operator in weights else [])]
        nodes.append(helper.make_node(operator, inputs, [names[number + 1]], name=f"n{number}"))
    constants = [numpy_helper.from_array(weights[o], o.lower()) for o in operators if o in weights]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, _SHAPE) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def _exponent(seconds: list[float], lengths: tuple[int, ...]) -> float:
    first, last = (max(value, 1e-3) for value in (seconds[0], seconds[-1]))
    return math.log(last / first) / math.log(lengths[-1] / lengths[0])


@click.command()
@click.argument("lengths", type=int, nargs=-1, required=True)
@click.option("--kind", type=click.Choice(tuple(_KINDS)), default="elementwise", show_default=True)
@click.option("--device", default="vivo-x200", show_default=True)
def main(lengths: tuple[int, ...], kind: str, device: str) -> None:
    """Compiles chains of LENGTHS nodes, each with an empty cache."""
    times: list[dict[str, float]] = []
    for length in lengths:
        with tempfile.TemporaryDirectory() as name:
            folder, reporter = Path(name), StageTimes()
            write_chain(_KINDS[kind], length, folder / "chain.onnx")
            os.environ["NPUC_CACHE"] = str(folder / "cache")
            model = str(folder / "chain.onnx")
            # thousands of roundings to FP8 in a row leave nothing of the signal
            compile_model(
                model, device=device, out=folder / "out", reporter=reporter, accept_precision_loss=True
            )
            times.append(reporter.seconds | {"all": sum(reporter.seconds.values())})
    click.echo(f"{'seconds':<12}" + "".join(f"{length:>9}" for length in lengths) + f"{'exponent':>10}")
    for stage in times[-1]:
        row = [entry.get(stage, 0.0) for entry in times]
        shown = f"{_exponent(row, lengths):10.2f}" if len(lengths) > 1 else ""
        click.echo(f"{stage:<12}" + "".join(f"{seconds:9.1f}" for seconds in row) + shown)


if __name__ == "__main__":
    main()
