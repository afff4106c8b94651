"""An .onnx file as it is: what its own runtime answers, before npuc touches the graph."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import ExportError
from exporter.families.generic.runner import COMPONENT
from program.onnx_executor import plain_session
from program.program import Array, Executor, Feeds, Original, TensorSpec
from program.shorten import shorten

if TYPE_CHECKING:
    import onnxruntime


def onnx_original(path: Path, inputs: Sequence[TensorSpec]) -> Original:
    """Returns the file as an original: ONNX Runtime without optimisation, or onnx's evaluator where that cannot.

    Args:
        path: The file; its external data were checked.
        inputs: Of the component it was captured as.
    """
    return Original("ONNX Runtime without optimisation", {COMPONENT: lambda: _open(path, inputs)})


def _open(path: Path, inputs: Sequence[TensorSpec]) -> Executor:
    names = [spec.name for spec in inputs]
    try:
        session = plain_session(path)
    except Exception as error:  # ONNX Runtime has an exception class for each of its status codes
        return _evaluator(path, names, shorten(error))
    outputs = [value.name for value in session.get_outputs()]
    # capture may have given an input another name: one that is an output, too
    stored = [value.name for value in session.get_inputs()]
    given = dict(zip(stored, names, strict=True)) if len(stored) == len(names) else {n: n for n in names}

    def run(feeds: Feeds) -> dict[str, Array]:
        inputs = {name: feeds[source] for name, source in given.items()}
        return dict(zip(outputs, _run(session, inputs, path), strict=True))

    return run


def _run(session: onnxruntime.InferenceSession, inputs: Feeds, path: Path) -> list[Array]:
    try:
        values: list[Array] = session.run(None, dict(inputs))
    except Exception as error:
        raise _failed(path, shorten(error)) from error
    return values


def _evaluator(path: Path, names: Sequence[str], refusal: str) -> Executor:
    """The standard's own definition of each operator in numpy: slow, but it leaves hardly an operator out."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        evaluator = ReferenceEvaluator(onnx.load(path))
    except Exception as error:  # it raises whatever its operators raise
        raise _failed(path, f"{refusal}; onnx's evaluator: {shorten(error)}") from error

    def run(feeds: Feeds) -> dict[str, Array]:
        try:
            values = evaluator.run(None, {name: feeds[name] for name in names})
        except Exception as error:
            raise _failed(path, f"{refusal}; onnx's evaluator: {shorten(error)}") from error
        return dict(zip(evaluator.output_names, values, strict=True))

    return run


def _failed(path: Path, received: str) -> ExportError:
    return ExportError(
        "the model cannot be run as it is, so that nothing can be compared with it",
        where=str(path),
        received=received,
        remedy="correct the model until ONNX Runtime runs it",
    )
