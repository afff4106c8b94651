"""Builds pairs of QuantizeLinear and DequantizeLinear and their scales."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import shared_initializer
from passes.integer.affine import Encoding


class QdqBuilder:
    """Adds pairs; scales and zero points of activations belong to the component.

    Args:
        component: Its name, in front of the names of scales.
    """

    def __init__(self, component: str) -> None:
        self._component = component

    def pair(
        self, graph: ir.Graph, value: ir.Value, encoding: Encoding, name: str, after: ir.Node | None
    ) -> ir.Value:
        """Returns DequantizeLinear(QuantizeLinear(value)).

        Args:
            graph: The graph.
            value: What is rounded.
            encoding: How.
            name: Name of the tensor; names of nodes and scales derive from it.
            after: The pair stands behind this node; at the start of the graph for None.
        """
        parameters = self._parameters(graph, encoding, name)
        stem = f"{name}.{encoding.type.value}"
        codes = _node("QuantizeLinear", [value, *parameters], f"{stem}/quantize", encoding.type.onnx, value)
        decoded = _node(
            "DequantizeLinear",
            [codes.outputs[0], *parameters],
            f"{stem}/dequantize",
            ir.DataType.FLOAT,
            value,
        )
        if after is not None:
            graph.insert_after(after, (codes, decoded))
        else:
            graph.insert_before(graph[0], (codes, decoded))
        for node in (codes, decoded):
            node.metadata_props.update({} if after is None else after.metadata_props)
        return decoded.outputs[0]

    def output(self, graph: ir.Graph, value: ir.Value, decoded: ir.Value) -> None:
        """Replaces a graph output by a DequantizeLinear of its own, of the same name.

        Args:
            graph: The graph.
            value: The output the float graph had.
            decoded: The DequantizeLinear that its readers inside the graph share.
        """
        shared = decoded.producer()
        if shared is None:
            return
        name = value.name
        value.name = f"{name}/float"
        last = _node("DequantizeLinear", list(shared.inputs), f"{name}/output", ir.DataType.FLOAT, value)
        last.outputs[0].name = name
        last.metadata_props.update(shared.metadata_props)
        graph.insert_after(shared, last)
        for index, output in enumerate(graph.outputs):
            if output is value:
                graph.outputs[index] = last.outputs[0]

    def parameters(self, graph: ir.Graph, encoding: Encoding, name: str) -> tuple[ir.Value, ir.Value]:
        """Returns initializers for the scale and the zero point of a tensor of the component."""
        return self._parameters(graph, encoding, name)

    def _parameters(self, graph: ir.Graph, encoding: Encoding, name: str) -> tuple[ir.Value, ir.Value]:
        stem = f"{self._component}/{name}.{encoding.type.value}"
        scale = ir.tensor(np.asarray(encoding.scale, np.float32), name=f"{stem}.scale")
        zero = ir.tensor(
            np.asarray(encoding.zero_point, encoding.type.numpy),
            dtype=encoding.type.onnx,
            name=f"{stem}.zero_point",
        )
        return (
            shared_initializer(graph, f"{stem}.scale", scale),
            shared_initializer(graph, f"{stem}.zero_point", zero),
        )


def _node(
    op_type: str, inputs: list[ir.Value | None], name: str, dtype: ir.DataType, like: ir.Value
) -> ir.Node:
    output = ir.Value(name=f"{name}d", type=ir.TensorType(dtype), shape=like.shape)
    return ir.Node("", op_type, inputs, outputs=[output], name=name)
