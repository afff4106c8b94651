"""Runs a Hexagon program under `qemu-hexagon`, on codes or on the graph's float tensors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import onnx_ir as ir

from exporter.program import Array, Feeds, TensorSpec
from targets.snapdragon.hexagon.tensor import QuantizedTensor
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

    Raises:
        ToolError: `qemu-hexagon` is not installed.
    """

    def __init__(
        self,
        binary: Path,
        inputs: Sequence[QuantizedTensor],
        outputs: Sequence[QuantizedTensor],
        time_limit_s: float = 600.0,
    ) -> None:
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the process."""
        self._process.__exit__(kind, error, traceback)

    def run_codes(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the program on uint8 codes.

        Raises:
            TargetError: A feed is missing or has another dtype or shape.
            ExecutionError: The program crashed, ran too long or wrote too little.
        """
        return self._process(feeds)

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the program on float tensors of the graph.

        Raises:
            TargetError: A feed is missing or has another shape.
            ExecutionError: The program crashed, ran too long or wrote too little.
        """
        codes = {t.name: t.quantize(feeds[t.name]) for t in self._inputs if t.name in feeds}
        results = self.run_codes(codes)
        return {tensor.name: tensor.dequantize(results[tensor.name]) for tensor in self._outputs}
