"""Computes chosen values of a graph from a part of its inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds


def evaluate(model: ir.Model, values: Sequence[ir.Value], feeds: Feeds) -> list[Array]:
    """Runs the part of a graph that values depend on, as the reference executor computes it.

    Args:
        model: The graph; stays as it is.
        values: Results of its nodes.
        feeds: Arrays for the graph inputs they depend on.

    Returns:
        One array for each value.
    """
    names = [value.name or "" for value in values]
    clone = model.clone()
    graph = clone.graph
    produced = {value.name: value for node in graph for value in node.outputs}
    graph.outputs.clear()
    graph.outputs.extend(produced[name] for name in names)
    common.RemoveUnusedNodesPass()(clone)
    for value in tuple(graph.inputs):
        if not value.uses():
            graph.inputs.remove(value)
    results = OnnxExecutor(clone)(feeds)
    return [np.array(results[name]) for name in names]
