"""Outputs that score alternatives: their largest entry is a decision, and their softmax a distribution."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from program.program import Array

CLEAR = 10 ** (-10 / 20)
"""Share of the scores' deviation by which the largest entry must lead to count: noise at 10 dB is that large, and would
turn closer decisions by chance."""

INDEX = "index"
"""Kind of an output that holds the places of largest entries."""

_INDICES = frozenset({"ArgMax", "ArgMin", "TopK"})
_HIDDEN = 100.0
"""Nats below the largest entry from which on an entry is no alternative."""

_MOVES = frozenset({"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_DISTRIBUTIONS = frozenset({"Softmax", "LogSoftmax"})


@dataclasses.dataclass(frozen=True)
class Decisions:
    """Rows of scores compared.

    Attributes:
        clear: Rows whose largest entry leads clearly in the original.
        same: Those of them whose largest entry is the same.
        rows: All rows.
        divergence: Sum of the Kullback-Leibler divergences of all rows, nats.
    """

    clear: int = 0
    same: int = 0
    rows: int = 0
    divergence: float = 0.0

    def __add__(self, other: Decisions) -> Decisions:
        """Adds counts and divergences."""
        return Decisions(
            self.clear + other.clear,
            self.same + other.same,
            self.rows + other.rows,
            self.divergence + other.divergence,
        )


def score_outputs(model: ir.Model) -> dict[str, str]:
    """Returns the outputs that stand for decisions, and how.

    Args:
        model: Before it is quantised. An output scores alternatives along its last axis if Softmax or LogSoftmax makes
            it, or if it is named logits; it holds indices if ArgMax, ArgMin or TopK make them.

    Returns:
        Output name → `Softmax`, `LogSoftmax`, `logits`, or `INDEX`.
    """
    found = {}
    for value in model.graph.outputs:
        made, producer = value, value.producer()
        while producer is not None and producer.op_type in _MOVES and producer.inputs[0] is not None:
            made, producer = producer.inputs[0], producer.inputs[0].producer()
        name, rank = value.name or "", 0 if value.shape is None else len(value.shape)
        if producer is not None and producer.op_type in _DISTRIBUTIONS and _is_last_axis(producer, rank):
            found[name] = producer.op_type
        elif producer is not None and producer.op_type in _INDICES and made is producer.outputs[-1]:
            found[name] = INDEX
        elif "logits" in name.lower() and rank:
            found[name] = "logits"
    return found


def compare_decisions(kind: str, expected: Array, actual: Array) -> Decisions:
    """Compares the rows of an output that scores alternatives.

    Args:
        kind: From `score_outputs`.
        expected: The original's, [..., alternatives].
        actual: The same shape.
    """
    if expected.shape[-1] < 2:
        return Decisions()
    logs = _log_probabilities(kind, expected)
    second, first = np.sort(logs, axis=-1)[:, -2:].T
    # what a mask hides is no alternative: its distance would be most of the deviation
    deviation = np.std(logs, axis=-1, where=logs > first[:, None] - _HIDDEN)
    clear = first - second > CLEAR * deviation
    other = _log_probabilities(kind, actual)
    same = logs.argmax(axis=-1) == other.argmax(axis=-1)
    divergence = np.sum(np.exp(logs) * (logs - other), axis=-1)
    return Decisions(
        int(clear.sum()), int((clear & same).sum()), len(logs), float(np.nan_to_num(divergence).clip(0).sum())
    )


def _log_probabilities(kind: str, values: Array) -> Array:
    """Log-softmax of each row, [rows, alternatives]."""
    rows: Array = values.astype(np.float64).reshape(-1, values.shape[-1])
    if kind == "Softmax":
        rows = np.log(np.maximum(rows, np.finfo(np.float32).tiny))
    with np.errstate(invalid="ignore"):  # of values that are not finite, which the ratio tells of
        shifted = rows - rows.max(axis=-1, keepdims=True)
        normal: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return normal


def _is_last_axis(node: ir.Node, rank: int) -> bool:
    return node.attributes.get_int("axis", -1) in (-1, rank - 1)
