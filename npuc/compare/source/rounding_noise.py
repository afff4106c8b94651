"""How far a float graph moves by itself, when every value it computes changes in its last place."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from npuc.compare.noisy_graph import UP_OR_DOWN, noisy_graph
from npuc.compare.source.difference import differences
from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds

TRIALS = 3
"""Directions of the changes that are tried; the largest difference counts."""


def own_differences(model: ir.Model, feeds: Feeds) -> dict[str, float]:
    """Compares a graph with itself.

    Two correct ways to compute something round at different places. What that does to the outputs depends on the
    graph: a difference of nearly equal numbers passes on what their last places hold.

    Args:
        model: As it was captured.
        feeds: A sample.

    Returns:
        Output name → largest absolute difference over a few random directions of the changes; infinity where an integer
        changes, or a value ceases to be finite.
    """
    expected = OnnxExecutor(model)(feeds)
    largest = dict.fromkeys(expected, 0.0)
    for seed in range(TRIALS):
        rng = np.random.default_rng(seed)
        moved = {name: _moved(array, rng) for name, array in feeds.items()}
        found = differences(expected, OnnxExecutor(noisy_graph(model, rng, UP_OR_DOWN))(moved))
        largest = {name: max(largest[name], each.absolute) for name, each in found.items()}
    return largest


def _moved(array: Array, rng: np.random.Generator) -> Array:
    """Changes an input relative to its values, and to 1: zeros move too, so that equal entries fall apart."""
    if array.dtype.kind != "f":
        return array
    step = float(np.finfo(array.dtype).eps)
    wide = array.astype(np.float64)
    moved = wide * (1 + step * _draw(rng, array.shape)) + step * _draw(rng, array.shape)
    return np.where(np.isfinite(array), moved, wide).astype(array.dtype)


def _draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    drawn: Array = rng.uniform(-1, 1, shape)
    return drawn
