"""Runs a Hexagon program under `qemu-hexagon`, on codes or on the graph's float tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import onnx_ir as ir

from program.program import Array, Feeds, TensorSpec
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor
from targets.tvm.executor import EmulatedExecutor

HEXAGON_EMULATOR = ("qemu-hexagon",)


def code_spec(tensor: QuantizedTensor) -> TensorSpec:
    """The program's own input or output: uint8 codes."""
    return TensorSpec(tensor.name, ir.DataType.UINT8, tensor.shape)


class HexagonExecutor:
    """A process that runs the program again and again until it is closed.

    Float inputs are quantised and outputs dequantised here, as the graph's outermost QuantizeLinear and
    DequantizeLinear do; the program itself has integers only.

    Args:
        binary: The static program.
        inputs: Its inputs, in order.
        outputs: Its outputs, in order.
        time_limit_s: Longest time one run may take, in seconds.
        coded: Names of inputs and outputs that are uint8 codes in the graph too, and stay as they are.

    Raises:
        ToolError: `qemu-hexagon` is not installed.
    """

    def __init__(
        self,
        binary: Path,
        inputs: Sequence[QuantizedTensor],
        outputs: Sequence[QuantizedTensor],
        time_limit_s: float = 600.0,
        *,
        coded: frozenset[str] = frozenset(),
    ) -> None:
        self._inputs, self._outputs, self._coded = tuple(inputs), tuple(outputs), coded
        self._process = EmulatedExecutor(
            binary,
            Path(os.devnull),
            [code_spec(tensor) for tensor in inputs],
            [code_spec(tensor) for tensor in outputs],
            HEXAGON_EMULATOR,
            time_limit_s,
        )

    def __enter__(self) -> Self:
        """Starts nothing yet: the process starts with the first run."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends the process."""
        self._process.__exit__(*raised)

    def run_codes(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the program on uint8 codes.

        Raises:
            TargetError: A feed is missing or has another dtype or shape.
            ExecutionError: The program crashed, ran too long or wrote too little.
        """
        return self._process(feeds)

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the program on the graph's tensors.

        Raises:
            TargetError: A feed is missing or has another shape.
            ExecutionError: The program crashed, ran too long or wrote too little.
        """
        results = self.run_codes(encode(self._inputs, self._coded, feeds))
        return decode(self._outputs, self._coded, results)


def encode(inputs: Sequence[QuantizedTensor], coded: frozenset[str], feeds: Feeds) -> dict[str, Array]:
    """What the graph is fed as codes; what is missing is left to the program to complain about."""
    given = [tensor for tensor in inputs if tensor.name in feeds]
    return {t.name: feeds[t.name] if t.name in coded else t.quantize(feeds[t.name]) for t in given}


def decode(outputs: Sequence[QuantizedTensor], coded: frozenset[str], codes: Feeds) -> dict[str, Array]:
    """The program's codes as what the graph returns."""
    return {t.name: codes[t.name] if t.name in coded else t.dequantize(codes[t.name]) for t in outputs}
