"""Which nodes of a graph have no integer operation, found by importing it and going on behind each of them."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from program.program import Component
from targets.errors import TargetError
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.component import Importer, static_shape
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def survey_component(component: Component, nodes: Collection[ir.Node]) -> dict[ir.Node, str]:
    """Returns the nodes that the importer refuses, each with the reason.

    Args:
        component: Static shapes. What is not between DequantizeLinear and QuantizeLinear is not looked at.
        nodes: Those of its nodes that are asked for; weights of others are not read.
    """
    survey = _Survey(component, nodes)
    for node in component.model.graph:
        if qdq.is_activation(node, "QuantizeLinear"):
            survey.quantize(node)
        elif qdq.is_activation(node, "DequantizeLinear"):
            survey.dequantize(node)
    return survey.refused


class _Survey(Importer):
    def __init__(self, component: Component, nodes: Collection[ir.Node]) -> None:
        super().__init__(component)
        self.refused: dict[ir.Node, str] = {}
        self._asked = frozenset(nodes)

    def quantize(self, node: ir.Node) -> None:
        """Reads a QuantizeLinear; where that fails, another processor is going to make its codes."""
        computing = _between(node)
        if not computing or self._asked.issuperset(computing):
            try:
                super().quantize(node)
                return
            except TargetError as error:
                reason = f"{error.what}: {error.received}" if error.received else error.what
                self.refused |= dict.fromkeys(computing or [node], reason)
        self._leave_open(node)

    def _leave_open(self, node: ir.Node) -> None:
        try:
            shape, (scale, zero_point) = static_shape(node.outputs[0]), qdq.activation_parameters(node)
        except TargetError as error:
            self.refused[node] = error.what
            return
        name = node.outputs[0].name or ""
        self.tensors[node.outputs[0]] = QuantizedTensor(name, shape, len(shape) - 1, scale, zero_point)

    def dequantize(self, node: ir.Node) -> None:
        """Reads a DequantizeLinear of an activation."""
        try:
            super().dequantize(node)
        except TargetError as error:
            self.refused[node] = error.what


def _between(node: ir.Node) -> list[ir.Node]:
    """The nodes that compute what a QuantizeLinear quantises, back to the nearest DequantizeLinear."""
    found, waiting = [], [value.producer() for value in node.inputs[:1] if value is not None]
    while waiting:
        producer = waiting.pop()
        if (
            producer is None
            or producer.op_type in ("QuantizeLinear", "DequantizeLinear")
            or producer in found
        ):
            continue
        found.append(producer)
        waiting += [value.producer() for value in producer.inputs if value is not None]
    return found
