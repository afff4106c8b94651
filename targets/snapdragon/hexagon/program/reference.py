"""A graph's integer program in numpy: what a binary for Hexagon has to equal, and where it leaves the graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds, Modality, Role
from targets.snapdragon.hexagon.executor import decode, encode
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.program.program import IntegerProgram


class IntegerReference:
    """The exact meaning of a quantised graph on Hexagon, on the graph's own tensors.

    Args:
        program: From the importer.
    """

    def __init__(self, program: IntegerProgram) -> None:
        self._program = program

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs it.

        Args:
            feeds: One array for each input.
        """
        program = self._program
        codes = encode(program.inputs, program.coded, feeds)
        return decode(program.outputs, program.coded, program.reference(codes))


def read_program(graph: Path) -> IntegerProgram:
    """Imports a quantised ONNX file.

    Raises:
        TargetError: A node has no integer operation.
    """
    return import_integer_program(Component(graph.stem, Role.MODEL, Modality.AUDIO, ir.load(graph)))


def first_divergence(graph: Path, feeds: Sequence[Feeds], min_sqnr: float) -> str:
    """Names the first operation whose integers are farther from the graph's codes than a limit.

    Args:
        graph: Quantised ONNX file.
        feeds: Inputs, at least one set.
        min_sqnr: In dB.

    Returns:
        Name and ratio; empty where no operation is below the limit.
    """
    program = read_program(graph)
    model = ir.load(graph)
    codes = {v.name for node in model.graph if node.op_type == "QuantizeLinear" for v in node.outputs}
    names = [op.output.name for op in program.operations if op.output.name in codes]
    executor = OnnxExecutor(model, names)
    expected = [executor(feed) for feed in feeds]
    actual = [program.values(encode(program.inputs, program.coded, feed)) for feed in feeds]
    for operation in program.operations:
        if operation.output.name not in names:
            continue
        tensor = operation.output
        ratios = [
            signal_to_noise(tensor.dequantize(first[tensor.name]), tensor.dequantize(second[tensor.name]))
            for first, second in zip(expected, actual, strict=True)
        ]
        if min(ratios) < min_sqnr:
            return f"{operation.name}, {min(ratios):.1f} dB"
    return ""
