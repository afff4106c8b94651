"""Constant operands of operators as integers, each in the encoding its operator takes."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from passes.core.rewrite import is_op, modality_of, shared_initializer
from passes.float.insert_fp8_qdq import output_axis
from passes.integer.affine import Encoding, affine_encoding
from passes.integer.encoding_plan import EncodingPlan
from passes.integer.integer_constant import encoded_bias, encoded_constant
from passes.integer.integer_weight import integer_weight
from passes.integer.qdq_builder import QdqBuilder
from passes.integer.scheme import Scheme
from program.lazy_tensor import static_shape
from program.number_format import IntegerType
from program.remark import Remark

_WEIGHT_OPS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
_BIAS_OPS = ("Gemm", "Conv", "ConvTranspose", "LayerNormalization")
_BIAS = 2


class QuantisedOperands:
    """Replaces float initializers by DequantizeLinear of integer ones.

    * Weights of matrix products and convolutions: symmetric, one scale per output channel.
    * Their biases, and those of LayerNormalization: int32 in units of the accumulator.
    * Gains of LayerNormalization: one scale, of the type the chip takes; float gains keep their biases in float too.
    * What a layout operator moves (tables, class tokens): the encoding of its result.
    * All others: the type of the activations, one scale.

    Args:
        component: Name of the component.
        scheme: Types.
        plan: Encodings of the activations.
        gain: Type of the gains of LayerNormalization; None leaves them in float.

    Attributes:
        remarks: What each weight became.
    """

    def __init__(self, component: str, scheme: Scheme, plan: EncodingPlan, gain: IntegerType | None) -> None:
        self.remarks: list[Remark] = []
        self._component = component
        self._scheme = scheme
        self._plan = plan
        self._gain = gain
        self._build = QdqBuilder(component)
        self._made: dict[str, ir.Value] = {}
        self._replaced: list[ir.Value] = []

    def constant(self, graph: ir.Graph, node: ir.Node, index: int, encoding: Encoding | None) -> ir.Value:
        """Returns the decoded integer form of an initializer.

        Args:
            graph: The graph.
            node: Reads it.
            index: Which input of the node it is.
            encoding: Where given, the one to use.
        """
        value = node.inputs[index]
        if value is None or value.const_value is None:
            raise ValueError(f"{node.name} has no constant input {index}")  # filtered by the caller
        if self._gain is None and index > 0 and is_op(node, "LayerNormalization"):
            return value
        self._replaced.append(value)
        if encoding is not None:
            return self._encoded(graph, node, value, encoding)
        if index == 1 and is_op(node, *_WEIGHT_OPS) and len(value.const_value.shape) > 1:
            return self._weight(graph, node, value)
        if index == _BIAS and is_op(node, *_BIAS_OPS):
            return self._bias(graph, node, value)
        kind = self._plan.computed(node)
        if index == 1 and is_op(node, "LayerNormalization") and self._gain is not None:
            kind = self._gain
        return self._encoded(graph, node, value, affine_encoding(self._plan.constant_range(value), kind))

    def remove_unused(self, graph: ir.Graph) -> None:
        """Removes the float initializers nobody reads any more."""
        for value in self._replaced:
            if not value.uses() and not value.is_graph_output() and value.name in graph.initializers:
                del graph.initializers[value.name or ""]
        self._replaced.clear()

    def _encoded(self, graph: ir.Graph, node: ir.Node, value: ir.Value, encoding: Encoding) -> ir.Value:
        name = self._local(value.name or "")
        tensor = value.const_value
        scale, zero_point = self._build.parameters(graph, encoding, value.name or "")
        # two readers may need two encodings of one type
        key = f"{name}.{encoding.type.value}"
        if tensor is None:
            raise ValueError(f"{name} is no constant")
        codes = shared_initializer(graph, key, encoded_constant(tensor, encoding, key))
        return self._decoded(graph, node, codes, [scale, zero_point], value, {})

    def _weight(self, graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
        name, tensor, kind = value.name or "", value.const_value, self._scheme.weight
        if tensor is None:
            raise ValueError(f"{name} is no constant")
        if is_op(node, "Conv", "ConvTranspose"):
            kind = IntegerType.INT8
        axis = output_axis(node, len(tensor.shape))
        parts = integer_weight(tensor, kind, axis, name)
        values = [shared_initializer(graph, part.name or "", part) for part in parts]
        self._remark(node, f"{name}: {kind.value}", "one scale per output channel")
        return self._decoded(graph, node, values[0], values[1:], value, {"axis": axis})

    def _bias(self, graph: ir.Graph, node: ir.Node, value: ir.Value) -> ir.Value:
        """The weight was replaced before: its DequantizeLinear tells its scales."""
        x, weight, tensor = node.inputs[0], node.inputs[1], value.const_value
        producers = [None if operand is None else operand.producer() for operand in (x, weight)]
        scales = [None if producer is None else producer.inputs[1] for producer in producers]
        first, second = [None if scale is None else scale.const_value for scale in scales]
        if first is None or second is None or tensor is None:
            raise ValueError(f"{node.name}: bias before weight")
        name = f"{self._local(value.name or '')}.{node.outputs[0].name}.int32"
        parts = encoded_bias(tensor, float(first.numpy()), second, name)
        values = [shared_initializer(graph, part.name or "", part) for part in parts]
        axis = {"axis": 0} if static_shape(parts[1]) else {}
        return self._decoded(graph, node, values[0], values[1:], value, axis)

    def _decoded(
        self,
        graph: ir.Graph,
        node: ir.Node,
        codes: ir.Value,
        parameters: list[ir.Value],
        value: ir.Value,
        attributes: Mapping[str, int],
    ) -> ir.Value:
        name = codes.name or ""
        if name in self._made:
            return self._made[name]
        output = ir.Value(
            name=f"{name}/dequantized", type=ir.TensorType(ir.DataType.FLOAT), shape=value.shape
        )
        decode = ir.Node(
            "",
            "DequantizeLinear",
            [codes, *parameters],
            attributes=[ir.AttrInt64(key, number) for key, number in attributes.items()],
            outputs=[output],
            name=f"{name}/dequantize",
            metadata_props=dict(node.metadata_props),
        )
        graph.insert_before(node, decode)
        self._made[name] = output
        return output

    def _local(self, name: str) -> str:
        return name if name.startswith(f"{self._component}/") else f"{self._component}/{name}"

    def _remark(self, node: ir.Node, what: str, why: str) -> None:
        self.remarks.append(
            Remark(type(self).__name__, node.name or node.op_type, modality_of(node), what, why)
        )
