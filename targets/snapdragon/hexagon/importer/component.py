"""ONNX graph with QuantizeLinear and DequantizeLinear → integer program.

An operator between DequantizeLinear and QuantizeLinear is one integer operation; a ReLU before the QuantizeLinear
belongs to it. What lies outside the first QuantizeLinear and the last DequantizeLinear is left to the caller.
"""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from exporter.program import Component
from targets.errors import TargetError
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.converters import CONVERTERS
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.program import IntegerProgram
from targets.snapdragon.hexagon.tensor import QuantizedTensor


def import_integer_program(component: Component) -> IntegerProgram:
    """Reads a component's graph.

    Args:
        component: Every operator between uint8 activations with one scale; int8 weights without a zero point.

    Raises:
        TargetError: A node has no integer operation; `hexagon_refusal` tells which and why.
    """
    return _Importer(component).run()


class _Importer(NodeContext):
    def __init__(self, component: Component) -> None:
        self._component = component
        self._tensors: dict[ir.Value, QuantizedTensor] = {}
        self._inputs: dict[str, QuantizedTensor] = {}
        self._outputs: dict[str, QuantizedTensor] = {}
        self._operations: list[Operation] = []

    def run(self) -> IntegerProgram:
        graph = self._component.model.graph
        for node in graph:
            if node.op_type == "QuantizeLinear" and qdq.constant_array(node.inputs[0]) is None:
                self._quantize(node)
            elif node.op_type == "DequantizeLinear" and qdq.constant_array(node.inputs[0]) is None:
                self._dequantize(node)
        outputs = tuple(self._output(value) for value in graph.outputs)
        inputs = tuple(self._inputs.values())
        return IntegerProgram(self._component.name, inputs, tuple(self._operations), outputs)

    def tensor(self, value: ir.Value, channel_axis: int | None = None) -> QuantizedTensor:
        """See `NodeContext.tensor`."""
        tensor = self._tensors.get(value)
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

    def _quantize(self, node: ir.Node) -> None:
        source, codes = node.inputs[0], node.outputs[0]
        if source is None:
            raise TargetError("a QuantizeLinear has no input", where=node_name(node))
        scale, zero_point = qdq.activation_parameters(node)
        shape = _shape(codes)
        if source.is_graph_input():
            tensor = QuantizedTensor(source.name or "", shape, _input_axis(codes), scale, zero_point)
            self._inputs[tensor.name] = tensor
        elif source in self._tensors:
            tensor = self._requantize(node, self._tensors[source], scale, zero_point, 0)
        else:
            tensor = self._convert(node, source, shape, scale, zero_point)
        self._tensors[codes] = tensor

    def _dequantize(self, node: ir.Node) -> None:
        source, value = node.inputs[0], node.outputs[0]
        if source is None or source not in self._tensors:
            raise TargetError("codes come from outside the graph", where=node_name(node))
        self._tensors[value] = self._tensors[source]

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
            if producer.inputs[0] in self._tensors:
                return self._requantize(node, self._tensors[producer.inputs[0]], scale, zero_point, minimum)
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


def _shape(value: ir.Value) -> tuple[int, ...]:
    if value.shape is None or not value.shape.is_static():
        raise TargetError("a shape is not static", where=value.name or "", received=str(value.shape))
    return tuple(int(extent) for extent in value.shape.numpy())


def _input_axis(codes: ir.Value) -> int:
    """1 if a convolution reads the input, else the last axis."""
    readers = [user for use in codes.uses() for out in use.node.outputs for user in out.uses()]
    rank = len(_shape(codes))
    return 1 if rank > 2 and any(user.node.op_type == "Conv" for user in readers) else rank - 1
