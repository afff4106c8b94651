"""ONNX graph with QuantizeLinear and DequantizeLinear → integer program.

An operator between DequantizeLinear and QuantizeLinear is one integer operation; a ReLU before the QuantizeLinear
belongs to it. What lies outside the first QuantizeLinear and the last DequantizeLinear is left to the caller.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from program.program import Component
from targets.errors import TargetError
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.converters import CONVERTERS
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

_IMAGE_OPERATORS = frozenset({"AveragePool", "Conv", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})


def import_integer_program(component: Component) -> IntegerProgram:
    """Reads a component's graph.

    Args:
        component: Every operator between uint8 activations with one scale; int8 weights without a zero point.

    Raises:
        TargetError: A node has no integer operation; `hexagon_refusal` tells which and why.
    """
    return Importer(component).run()


class Importer(NodeContext):
    """Reads a graph node by node.

    Args:
        component: Static shapes.

    Attributes:
        tensors: What is known of the graph's codes, and of the values they stand for.
    """

    def __init__(self, component: Component) -> None:
        self._component = component
        self.tensors: dict[ir.Value, QuantizedTensor] = {}
        self._inputs: dict[str, QuantizedTensor] = {}
        self._operations: list[Operation] = []

    def run(self) -> IntegerProgram:
        """Reads the whole graph.

        Raises:
            TargetError: A node has no integer operation.
        """
        graph = self._component.model.graph
        for node in graph:
            if qdq.is_activation(node, "QuantizeLinear"):
                self.quantize(node)
            elif qdq.is_activation(node, "DequantizeLinear"):
                self.dequantize(node)
        outputs = tuple(self._output(value) for value in graph.outputs)
        inputs = tuple(self._inputs[v.name or ""] for v in graph.inputs if v.name in self._inputs)
        coded = frozenset(
            v.name or "" for v in (*graph.inputs, *graph.outputs) if v.dtype == ir.DataType.UINT8
        )
        return IntegerProgram(self._component.name, inputs, tuple(self._operations), outputs, coded)

    def tensor(self, value: ir.Value, channel_axis: int | None = None) -> QuantizedTensor:
        """See `NodeContext.tensor`."""
        tensor = self.tensors.get(value)
        if tensor is None:
            raise TargetError(
                "a value is not quantised",
                where=value.name or "",
                remedy="put QuantizeLinear and DequantizeLinear around every operator",
            )
        if channel_axis is None or channel_axis % len(tensor.shape) == tensor.channel_axis:
            return tensor
        axis = channel_axis % len(tensor.shape)
        regrouped = dataclasses.replace(tensor, name=f"{tensor.name}.axis{axis}", channel_axis=axis)
        if all(operation.output != regrouped for operation in self._operations):
            self.add(Regrouping(regrouped.name, tensor, regrouped))
        return regrouped

    def add(self, operation: Operation) -> None:
        """See `NodeContext.add`."""
        self._operations.append(operation)

    def quantize(self, node: ir.Node) -> None:
        """Reads a QuantizeLinear with what it quantises.

        Raises:
            TargetError: There is no integer operation for that.
        """
        source, codes = node.inputs[0], node.outputs[0]
        if source is None:
            raise TargetError("a QuantizeLinear has no input", where=node_name(node))
        scale, zero_point = qdq.activation_parameters(node)
        shape = static_shape(codes)
        if source.is_graph_input():
            tensor = self._input(source, codes, scale, zero_point)
        elif source in self.tensors:
            tensor = self._requantize(node, self.tensors[source], scale, zero_point, 0)
        else:
            tensor = self._convert(node, source, shape, scale, zero_point)
        self.tensors[codes] = tensor

    def dequantize(self, node: ir.Node) -> None:
        """Reads a DequantizeLinear of an activation.

        Raises:
            TargetError: Its codes are not known.
        """
        source, value = node.inputs[0], node.outputs[0]
        scale, zero_point = qdq.activation_parameters(node)
        if source is not None and source.is_graph_input() and source not in self.tensors:
            self.tensors[source] = self._input(source, source, scale, zero_point)
        if source is None or source not in self.tensors:
            raise TargetError("codes come from outside the graph", where=node_name(node))
        self.tensors[value] = dataclasses.replace(self.tensors[source], scale=scale, zero_point=zero_point)

    def _input(self, value: ir.Value, codes: ir.Value, scale: float, zero_point: int) -> QuantizedTensor:
        """The quantised form of a graph input, which is float or holds codes itself."""
        tensor = QuantizedTensor(value.name or "", static_shape(codes), _input_axis(codes), scale, zero_point)
        if self._inputs.setdefault(tensor.name, tensor) != tensor:
            raise TargetError(
                "an input is quantised in two ways",
                where=tensor.name,
                remedy="quantise each input once",
            )
        return tensor

    def _requantize(
        self, node: ir.Node, source: QuantizedTensor, scale: float, zero_point: int, minimum: int
    ) -> QuantizedTensor:
        if (source.scale, source.zero_point) == (scale, zero_point) and minimum == 0:
            return source
        name = node_name(node)
        tensor = dataclasses.replace(source, name=name, scale=scale, zero_point=zero_point)
        self.add(Requantization(node_name(node), source, tensor, minimum))
        return tensor

    def _convert(
        self, node: ir.Node, source: ir.Value, shape: tuple[int, ...], scale: float, zero_point: int
    ) -> QuantizedTensor:
        producer, minimum = source.producer(), 0
        if producer is not None and producer.op_type == "Relu" and producer.inputs[0] is not None:
            minimum = zero_point
            if producer.inputs[0] in self.tensors:
                return self._requantize(node, self.tensors[producer.inputs[0]], scale, zero_point, minimum)
            producer = producer.inputs[0].producer()
        if producer is None or producer.op_type not in CONVERTERS:
            raise TargetError(
                "there is no integer kernel for an operator",
                where=node_name(node),
                received="nothing" if producer is None else producer.op_type,
                remedy="run the node elsewhere; hexagon_refusal tells what is taken",
            )
        output = QuantizedTensor(node.outputs[0].name or "", shape, len(shape) - 1, scale, zero_point)
        return CONVERTERS[producer.op_type](self, producer, output, minimum)

    def _output(self, value: ir.Value) -> QuantizedTensor:
        """The tensor under the graph output's own name."""
        tensor = self.tensor(value)
        named = dataclasses.replace(tensor, name=value.name or "")
        self.add(Regrouping(f"{named.name}.output", tensor, named))
        return named


def static_shape(value: ir.Value) -> tuple[int, ...]:
    """The extents of a value.

    Raises:
        TargetError: One is not known.
    """
    if value.shape is None or not value.shape.is_static():
        raise TargetError("a shape is not static", where=value.name or "", received=str(value.shape))
    return tuple(int(extent) for extent in value.shape.numpy())


def _input_axis(codes: ir.Value) -> int:
    """1 if a convolution or a pool reads the input, else the last axis."""
    readers = [user for use in codes.uses() for out in use.node.outputs for user in out.uses()]
    rank = len(static_shape(codes))
    return 1 if rank > 2 and any(user.node.op_type in _IMAGE_OPERATORS for user in readers) else rank - 1
