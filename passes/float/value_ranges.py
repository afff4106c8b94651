"""What samples show of every float value of a graph, as far as it decides whether float16 holds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.graph_windows import run_windows
from passes.core.rewrite import is_op
from passes.float.float16 import FLOATS, largest_finite
from passes.float.masked_values import score_values
from program.program import Array, Feeds

WINDOW_BYTES = 128 << 20
"""Bytes of intermediate values that one run returns."""

SUMS = ("Add", "Sub")


@dataclasses.dataclass
class ValueRange:
    """What is known of one value after any number of runs.

    Attributes:
        largest: Largest finite magnitude. Of scores and masks: the largest magnitude among the maxima of their rows,
            as a softmax gives 0 for what is far below the maximum, however far.
        cancelling: Of sums: how many times larger an operand's row (last axis) was than the result's, by their norms.
        edge: The largest magnitude on inputs at the edge, which have to stay finite, not precise.
    """

    largest: float = 0.0
    cancelling: float = 0.0
    edge: float = 0.0

    @property
    def top(self) -> float:
        """The largest magnitude on any input."""
        return max(self.largest, self.edge)


class RangeWatcher:
    """Collects ranges while somebody runs a graph in pieces.

    Keeps, beside two figures for each value, the norm of every row of the operands of sums.

    Args:
        graph: With named values.

    Attributes:
        ranges: Value name → range of the float values seen so far.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.ranges: dict[str, ValueRange] = {}
        self._floats = {value.name or "" for value in _values(graph) if value.dtype in FLOATS}
        self._scores = {value.name or "" for value in score_values(graph)}
        self._sums = {
            node.outputs[0].name or "": [value.name or "" for value in node.inputs if value is not None]
            for node in graph
            if is_op(node, *SUMS)
        }
        self._operands = {name for names in self._sums.values() for name in names}
        constants = graph.initializers
        self._norms: dict[tuple[int | None, str], npt.NDArray[np.float64]] = {
            (None, name): _row_norms(np.asarray(tensor.numpy()))
            for name in self._operands & constants.keys()
            if (tensor := constants[name].const_value) is not None and tensor.dtype in FLOATS
        }

    def see(self, sample: int, values: Mapping[str, Array]) -> None:
        """Adds values of one run; what a sum reads must have been seen before or with it.

        Args:
            sample: Number of the run.
            values: Any of the graph's values; others than floats are ignored.
        """
        seen = self._floats & values.keys()
        for name in seen & self._operands:
            self._norms[sample, name] = _row_norms(values[name])
        for name in seen:
            found, array = self.ranges.setdefault(name, ValueRange()), values[name]
            found.largest = max(found.largest, _largest(array, name in self._scores))
            if name in self._sums:
                found.cancelling = max(found.cancelling, self._cancelling(sample, name, array))

    def _cancelling(self, sample: int, name: str, result: Array) -> float:
        operands = [
            norms
            for operand in self._sums[name]
            for key in ((sample, operand), (None, operand))
            if (norms := self._norms.get(key)) is not None
        ]
        left = _row_norms(result)
        if not operands:
            return 0.0
        largest = operands[0] if len(operands) == 1 else np.maximum(*operands)
        with np.errstate(divide="ignore", invalid="ignore"):
            # an exact zero is one in float16 as well
            ratios = np.where((left > 0) & np.isfinite(left), largest / left, 0.0)
        return float(np.max(ratios, where=np.isfinite(ratios), initial=0.0))


def observe_ranges(model: ir.Model, samples: Sequence[Feeds]) -> dict[str, ValueRange]:
    """Runs a graph a window of nodes at a time.

    Args:
        model: With static shapes; stays as it is.
        samples: Inputs of each run.

    Returns:
        Value name → range.
    """
    watcher = RangeWatcher(model.graph)
    for number, sample in enumerate(samples):
        watcher.see(number, sample)
    for runs in run_windows(model, samples, WINDOW_BYTES):
        for number, values in enumerate(runs):
            watcher.see(number, values)
    return watcher.ranges


def add_edges(ranges: Mapping[str, ValueRange], model: ir.Model, edges: Sequence[Feeds]) -> None:
    """Runs a graph on inputs at the edge, and adds the largest magnitudes to ranges of the same graph.

    Args:
        ranges: Are changed.
        model: With static shapes; stays as it is.
        edges: Inputs of each run; one on which the graph itself fails, such as an index that is none, does not count.
    """
    for edge in edges:
        try:
            seen = observe_ranges(model, [edge])
        except Exception:  # ONNX Runtime has an exception class for each of its status codes  # noqa: S112
            continue
        for name, found in seen.items():
            ranges[name].edge = max(ranges[name].edge, found.largest)


def _values(graph: ir.Graph) -> list[ir.Value]:
    return [*graph.inputs, *(value for node in graph for value in node.outputs)]


def _largest(array: Array, of_rows: bool) -> float:
    values = np.asarray(array, np.float32)
    if of_rows and values.ndim and values.size:
        values = values.max(axis=-1)
    return largest_finite(values)


def _row_norms(array: Array) -> npt.NDArray[np.float64]:
    """Returns the root mean square over the last axis, which stays with extent 1."""
    values = np.atleast_1d(np.asarray(array, np.float32))
    squares = np.square(values, dtype=np.float64)
    return np.asarray(np.sqrt(np.mean(squares, axis=-1, keepdims=True)), np.float64)
