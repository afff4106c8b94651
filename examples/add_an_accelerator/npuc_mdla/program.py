"""The accelerator's program file: a line that identifies it, then the graph with its weights.

A real back end would emit machine code here. This one hands the graph to the interpreter of the ONNX standard, another
implementation of every operator than the one npuc compares with.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from onnx.reference import ReferenceEvaluator

from program.program import Array, Component, Feeds
from targets.errors import TargetError

MAGIC = b"MDLA-0001\n"


def write_program(component: Component, path: Path) -> None:
    """Writes a component; the program holds its weights."""
    model = ir.external_data.load_to_model(component.model.clone())
    path.write_bytes(MAGIC + ir.to_proto(model).SerializeToString(deterministic=True))


class ProgramExecutor:
    """Runs a program.

    Args:
        path: Its file.

    Raises:
        TargetError: It is none.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        if not content.startswith(MAGIC):
            raise TargetError(
                "not a program of this accelerator", where=str(path), remedy="compile the model again"
            )
        model = onnx.load_model_from_string(content.removeprefix(MAGIC))
        self._names = [value.name for value in model.graph.output]
        self._inputs = [value.name for value in model.graph.input]
        self._evaluator = ReferenceEvaluator(model)

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Computes all outputs."""
        given = {name: feeds[name] for name in self._inputs}
        return dict(zip(self._names, self._evaluator.run(None, given), strict=True))
