"""Prints the instructions Hexagon kernels execute with and without the layout pass.

    python -m benchmarks.hexagon_layout [--model build/keyword/keyword.onnx] [--output docs/results/hexagon-layout.md]

Each operation is lowered three times for Hexagon v66 and executed under `qemu-hexagon`, which logs every instruction:

* plain: scalar loops over the graph's own order, as LLVM compiles them;
* autovectorised: the same, with LLVM's vectoriser for HVX switched on;
* packed: activations and weights in blocks of 128 bytes, which is what npuc ships. Packing the inputs and unpacking the
  outputs is counted for the whole model, where it happens once, and not for single kernels.

A packet is what a hardware thread issues in one cycle at best. These are counts, not times: caches, stalls and the
several threads of a chip are not modelled.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np

from exporter.options import CaptureOptions
from exporter.sources.onnx_files.onnx_file import open_onnx
from targets.snapdragon.hexagon.executor import HEXAGON_EMULATOR
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.instruction_count import InstructionCount, count_executed
from targets.snapdragon.hexagon.lower import Layout, lower_program
from targets.snapdragon.hexagon.operations.addition import Addition
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.operations.lookup import Lookup, tabulate
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.operations.softmax import Softmax
from targets.snapdragon.hexagon.processor import EXECUTED
from targets.snapdragon.hexagon.program.fixed_point import fixed_point_scale
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

LAYOUTS: tuple[Layout, ...] = ("plain", "autovectorized", "packed")
_MOVES = ("pack", "unpack")
_SEED = 0
_PAGE = """# Instructions with and without the layout pass

Executed instructions, counted from the log of `qemu-hexagon`, as `python -m benchmarks.hexagon_layout` prints them.
What is compared, and what the figures do not say, stands under
[Hexagon vector units](../targets/hexagon.md#the-layout-pass).
"""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: counts by layout."""

    name: str
    counts: Mapping[Layout, InstructionCount]

    def line(self) -> str:
        """In Markdown."""
        packed = self.counts["packed"]
        cells = [f"{c.packets:,} | {c.scalar:,} | {c.vector:,}" for c in self.counts.values()]
        gains = [f"{self.counts[other].packets / packed.packets:.1f}" for other in LAYOUTS[:-1]]
        return f"| {self.name} | {' | '.join([*cells, *gains])} |"


def kernel_programs() -> dict[str, IntegerProgram]:
    """One program a kernel, at sizes of a small audio model."""
    rng = np.random.default_rng(_SEED)
    rows = QuantizedTensor("x", (1, 16, 128), 2, 0.05, 117)
    other = QuantizedTensor("y", (1, 16, 128), 2, 0.03, 90)
    out = QuantizedTensor("z", (1, 16, 128), 2, 0.04, 100)
    means = QuantizedTensor("z", (1, 1, 128), 2, 0.02, 100)
    frames = QuantizedTensor("x", (1, 64, 1, 16), 1, 0.05, 117)
    sigmoid = tabulate(lambda v: 1 / (1 + np.exp(-v)), rows, out)
    operations: dict[str, Operation] = {
        "matmul [16, 128] by [128, 128]": _product(rows, out, 128, rng),
        "conv of 5 taps, 64 to 64 channels, 16 frames": _convolution(frames, rng),
        "depthwise conv of 3 by 3, 64 channels, 25 by 5": _depthwise(rng),
        "add": Addition("add", rows, other, out),
        "multiply": Multiplication("multiply", rows, other, out),
        "requantise with ReLU": Requantization("relu", rows, out, 100),
        "sigmoid by table": Lookup("sigmoid", rows, out, sigmoid),
        "softmax over 128": Softmax("softmax", rows, dataclasses.replace(out, scale=1 / 256, zero_point=0)),
        "layer norm over 128": LayerNorm("norm", rows, out, np.ones(128), np.zeros(128), 1e-5),
        "mean over 16 positions": Mean("mean", rows, means),
        "max pool of 3 by 3 in steps of 2, 64 channels, 16 by 16": _pool(),
        "repeat 64 channels over 16 by 16": _repeat(),
    }
    return {
        name: IntegerProgram("kernel", operation.sources, (operation,), (operation.output,))
        for name, operation in operations.items()
    }


def _product(
    source: QuantizedTensor, output: QuantizedTensor, width: int, rng: np.random.Generator
) -> Operation:
    weights = rng.integers(-127, 128, (width, source.channels, 1, 1)).astype(np.int8)
    bias = np.zeros(width, np.int32)
    return Convolution("matmul", source, output, weights, bias, fixed_point_scale(np.full(width, 4e-4)))


def _convolution(source: QuantizedTensor, rng: np.random.Generator) -> Operation:
    weights = rng.integers(-127, 128, (64, 64, 1, 5)).astype(np.int8)
    output = QuantizedTensor("z", source.shape, 1, 0.1, 100)
    scale = fixed_point_scale(np.full(64, 4e-4))
    return Convolution("conv", source, output, weights, np.zeros(64, np.int32), scale, pads=(0, 2, 0, 2))


def _depthwise(rng: np.random.Generator) -> Operation:
    source, output = (QuantizedTensor(name, (1, 64, 25, 5), 1, 0.05, 117) for name in "xz")
    weights = rng.integers(-127, 128, (64, 1, 3, 3)).astype(np.int8)
    scale, bias = fixed_point_scale(np.full(64, 4e-3)), np.zeros(64, np.int32)
    return Convolution("depthwise", source, output, weights, bias, scale, pads=(1, 1, 1, 1), groups=64)


def _pool() -> Operation:
    source, output = (QuantizedTensor(n, (1, 64, e, e), 1, 0.05, 117) for n, e in (("x", 16), ("z", 8)))
    return MaxPool("pool", source, output, (3, 3), (2, 2), (1, 1, 1, 1))


def _repeat() -> Operation:
    source, output = (QuantizedTensor(n, (1, 64, e, e), 1, 0.05, 117) for n, e in (("x", 1), ("z", 16)))
    return Broadcast("repeat", source, output)


def measure(name: str, program: IntegerProgram, *, moves: bool) -> Row:
    """Runs all layouts on the same random codes and checks that they agree with the integer reference.

    Args:
        name: Of the row.
        program: To run.
        moves: Count the packing and unpacking of inputs and outputs.
    """
    rng = np.random.default_rng(_SEED)
    feeds = {t.name: rng.integers(0, 256, t.shape).astype(np.uint8) for t in program.inputs}
    expected = program.reference(feeds)
    counts = {}
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            binary = lower_program(program, Path(folder), layout, strip=False, device=None)
            with binary.executor() as execute:
                actual = execute.run_codes(feeds)
            if any(not np.array_equal(actual[output], expected[output]) for output in expected):
                raise SystemExit(f"{name}: {layout} differs from its integer reference")
            codes = b"".join(feeds[tensor.name].tobytes() for tensor in program.inputs)
            counts[layout] = _kernels(count_executed(Path(folder) / binary.executable, codes), moves=moves)
    return Row(name, counts)


def _kernels(counts: Mapping[str, InstructionCount], *, moves: bool) -> InstructionCount:
    """Everything but the runner, or the kernels and what they call, without the moves."""
    runner = {"", "leave", "npuc_start"}
    chosen = [
        count
        for symbol, count in counts.items()
        if symbol not in runner and (moves or not any(f"_{move}_" in symbol for move in _MOVES))
    ]
    return sum(chosen, InstructionCount())


def table(rows: Sequence[Row]) -> str:
    """The Markdown table."""
    columns = " | ".join(f"{layout} {kind}" for layout in LAYOUTS for kind in ("packets", "scalar", "vector"))
    head = f"| kernel | {columns} | packets plain ÷ packed | packets autovectorised ÷ packed |"
    return "\n".join([head, "| --- |" + " ---: |" * 11, *(row.line() for row in rows)])


def versions() -> str:
    """What made the numbers."""
    emulator = subprocess.run([*HEXAGON_EMULATOR, "--version"], capture_output=True, text=True, check=True)
    return (
        f"Hexagon {EXECUTED.version} with HVX; {emulator.stdout.splitlines()[0]}; "
        f"apache-tvm {metadata.version('apache-tvm')}; ziglang {metadata.version('ziglang')}"
    )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="QDQ graph to measure whole")
    parser.add_argument("--output", type=Path, help="write the table to this file too")
    arguments = parser.parse_args()
    rows = []
    for name, program in kernel_programs().items():
        rows.append(measure(name, program, moves=False))
        print(rows[-1].line(), flush=True)
    if arguments.model is not None:
        (component,) = open_onnx(arguments.model, CaptureOptions()).components.values()
        name = f"whole model {arguments.model.stem}, with packing"
        rows.append(measure(name, import_integer_program(component), moves=True))
    text = f"\n{table(rows)}\n\n{versions()}\n"
    print(text)
    if arguments.output is not None:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(_PAGE + text, "utf-8")


if __name__ == "__main__":
    main()
