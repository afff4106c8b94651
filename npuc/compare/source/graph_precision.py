"""Measures a final graph that lies in a file against the user's model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from npuc.artifact.feeds import cast_feeds
from npuc.compare.joined_outputs import joined_outputs
from npuc.compare.records import PrecisionRecord
from npuc.compare.source.lost_signal import lost_signal
from npuc.compare.source.precision import PrecisionJob, measure_precision
from npuc.compare.source.precision_bound import PrecisionBound
from npuc.compare.source.samples import Answered
from npuc.compare.source.scores import score_outputs
from program.onnx_executor import OnnxExecutor
from program.program import Executor, tensor_spec


def graph_precision(
    before: ir.Model, after: Path, answered: Sequence[Answered], bound: PrecisionBound
) -> PrecisionRecord | None:
    """Compares a final graph with the answers of the model.

    Args:
        before: The graph it was made of: says which outputs score alternatives, and where a signal is lost.
        after: The final graph.
        answered: Samples with the model's answers.
        bound: What must hold.

    Returns:
        What was measured; None without an ordinary sample.
    """
    return measure_precision(
        PrecisionJob(
            answered,
            casting_executor(after),
            score_outputs(before),
            bound,
            lambda row: lost_signal(before, ir.load(after), row.sample.feeds, bound.min_sqnr),
            joined_outputs(before),
        )
    )


def casting_executor(path: Path) -> Executor:
    """Opens a graph that takes inputs of other element types as well."""
    executor, inputs = OnnxExecutor(path), [tensor_spec(value) for value in ir.load(path).graph.inputs]
    return lambda feeds: executor(cast_feeds(feeds, inputs))
