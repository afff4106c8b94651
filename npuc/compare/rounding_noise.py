"""How far a float graph moves by itself, when every value it computes changes in its last place."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Array, Feeds
from npuc.compare.difference import differences

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
        found = differences(expected, OnnxExecutor(_noisy(model, rng))(moved))
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


def _noisy(model: ir.Model, rng: np.random.Generator) -> ir.Model:
    """Returns a copy in which each float that a node makes is scaled by 1 and a random part of its last place."""
    clone = model.clone()
    for node in tuple(clone.graph):
        for value in node.outputs:
            if value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16) and value.name:
                _scale(clone.graph, node, value, rng)
    return clone


def _scale(graph: ir.Graph, node: ir.Node, value: ir.Value, rng: np.random.Generator) -> None:
    dtype = value.dtype.numpy() if value.dtype is not None else np.dtype(np.float32)
    factor = np.array(1 + np.finfo(dtype).eps * (1 if rng.random() < 0.5 else -1), dtype)
    name, value.name = value.name or "", f"{value.name}/before_noise"
    constant = ir.Value(
        name=f"{name}/noise",
        type=value.type,
        shape=ir.Shape([]),
        const_value=ir.tensor(factor, name=f"{name}/noise"),
    )
    graph.register_initializer(constant)
    scaled = ir.Value(name=name, type=value.type, shape=value.shape)
    value.replace_all_uses_with(scaled, replace_graph_outputs=True)
    graph.insert_after(node, ir.Node("", "Mul", [value, constant], outputs=[scaled], name=f"{name}/noise"))


def _draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    drawn: Array = rng.uniform(-1, 1, shape)
    return drawn
