"""A graph whose values all change in their last place: how far it moves by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

Factors = Mapping[ir.DataType, Sequence[float]]
"""Element type → what a value may be multiplied with."""

UP_OR_DOWN: Factors = {
    ir.DataType.FLOAT: (1 - 2.0**-23, 1 + 2.0**-23),
    ir.DataType.FLOAT16: (1 - 2.0**-10, 1 + 2.0**-10),
}
"""One unit in the last place (IEEE 754: 24 and 11 significant bits)."""

EITHER_NEIGHBOUR: Factors = {ir.DataType.FLOAT: (1, 1 - 2.0**-24), ir.DataType.FLOAT16: (1, 1 - 2.0**-11)}
"""A value between two numbers may be rounded to either."""


def noisy_graph(
    model: ir.Model, rng: np.random.Generator, factors: Factors, *, each_channel: bool = False
) -> ir.Model:
    """Returns a copy in which every float that a node computes is multiplied with a factor drawn at random.

    Args:
        model: Any graph; its weights are shared.
        rng: Draws.
        factors: What may be drawn.
        each_channel: One factor for each place along the last axis, instead of one for a tensor.
    """
    clone = model.clone()
    for node in tuple(clone.graph):
        if all(value is None or value.const_value is not None for value in node.inputs):
            continue  # constants are the same for all who compute with them
        for value in node.outputs:
            if value.dtype is not None and value.dtype in factors and value.name:
                shape = _channels(value) if each_channel else ()
                drawn = rng.choice(np.array(factors[value.dtype], value.dtype.numpy()), shape)
                _scale(clone.graph, node, value, ir.tensor(np.asarray(drawn), name=f"{value.name}/noise"))
    return clone


def _channels(value: ir.Value) -> tuple[int, ...]:
    last = value.shape[-1] if value.shape is not None and len(value.shape) else None
    return (last,) if isinstance(last, int) else ()


def _scale(graph: ir.Graph, node: ir.Node, value: ir.Value, factor: ir.TensorProtocol) -> None:
    name, value.name = value.name or "", f"{value.name}/before_noise"
    constant = ir.Value(
        name=factor.name, type=value.type, shape=ir.Shape(factor.shape.numpy()), const_value=factor
    )
    graph.register_initializer(constant)
    scaled = ir.Value(name=name, type=value.type, shape=value.shape)
    value.replace_all_uses_with(scaled, replace_graph_outputs=True)
    graph.insert_after(node, ir.Node("", "Mul", [value, constant], outputs=[scaled], name=f"{name}/noise"))
