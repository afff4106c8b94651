"""Which nodes have an integer kernel on Hexagon."""

from __future__ import annotations

from collections.abc import Collection

import onnx_ir as ir

from program.program import Component
from targets.errors import TargetError
from targets.placing.coverage import Refusal
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.constant_operand import is_constant_operand
from targets.snapdragon.hexagon.importer.converters import CONVERTERS
from targets.snapdragon.hexagon.importer.survey import survey_component
from targets.snapdragon.hexagon.importer.tables import has_number

_QUANTISERS = {"QuantizeLinear", "DequantizeLinear"}
_BY_CONSTANT = {"Conv", "Gemm", "MatMul"}
_REMEDY = "use int8 QDQ form and the operators that docs/targets/hexagon.md lists"
_WITH_CONSTANT = {"Add", "Mul", "Sub"}
_PARAMETERS = {"LayerNormalization", "ReduceMean", "Reshape", "Squeeze", "Unsqueeze"}


def hexagon_refusals(component: Component, nodes: Collection[ir.Node]) -> dict[ir.Node, Refusal]:
    """Why nodes of a quantised graph cannot run on HVX, those left out that can.

    Args:
        component: Static shapes.
        nodes: Those of its nodes that are asked for.
    """
    alone = {node: reason for node in nodes if (reason := hexagon_refusal(node)) is not None}
    found = survey_component(component, nodes) | alone
    return {node: Refusal(reason, _REMEDY) for node, reason in found.items()}


def hexagon_refusal(node: ir.Node) -> str | None:
    """Why a node of a quantised graph cannot run on HVX, or None if it can.

    Taken are, between DequantizeLinear and QuantizeLinear with uint8 codes and one scale: Conv (1-D, 2-D, also with
    groups), Gemm and MatMul by an int8 constant, Add, Sub and Mul, also with an operand that is broadcast or
    constant, arithmetic of an activation with one number, functions of one element, Softmax, LayerNormalization over
    the last axis, AveragePool, MaxPool, GlobalAveragePool, GlobalMaxPool and ReduceMean over all positions, Reshape,
    Flatten, Squeeze, Unsqueeze, Transpose. QuantizeLinear and DequantizeLinear themselves are taken. Float arithmetic
    is refused: HVX float code can be compiled for v73 but not executed here.

    Attributes such as the padding of a pool are checked when the graph is imported (`survey_component`).

    Args:
        node: Of the graph, connected.

    Returns:
        The reason, for a coverage table.
    """
    if node.domain not in ("", "ai.onnx"):
        return f"the domain {node.domain} is unknown"
    try:
        if node.op_type in _QUANTISERS:
            return _quantiser_refusal(node)
        if node.op_type not in CONVERTERS and node.op_type != "Relu":
            return f"there is no integer kernel for {node.op_type}"
        return _input_refusal(node) or _output_refusal(node)
    except TargetError as error:
        return error.what


def _quantiser_refusal(node: ir.Node) -> str | None:
    if qdq.constant_array(node.inputs[0]) is not None:
        return None
    qdq.activation_parameters(node)
    return None


def _input_refusal(node: ir.Node) -> str | None:
    for index, value in enumerate(node.inputs):
        if value is None or _is_parameter(node, index, value):
            continue
        if index == 1 and node.op_type in _BY_CONSTANT:
            return "the second operand is not a constant"
        producer = value.producer()
        codes = producer is not None and producer.op_type == "DequantizeLinear"
        if qdq.read_constant(value) is not None or not (codes or _is_fused(producer, node)):
            return "an input is not dequantised from uint8 codes: float arithmetic is not executed on HVX"
    return None


def _is_parameter(node: ir.Node, index: int, value: ir.Value) -> bool:
    """Whether an input is a constant that the operation takes as one."""
    if qdq.constant_number(value) is not None and (node.op_type == "Clip" or has_number(node)):
        return True
    if node.op_type in _WITH_CONSTANT:
        return is_constant_operand(value)
    if qdq.read_constant(value) is None:
        return False
    return index > 0 and node.op_type in _BY_CONSTANT | _PARAMETERS


def _has_bias(node: ir.Node) -> bool:
    """Whether an Add adds a constant to a MatMul."""
    producers = [value.producer() for value in node.inputs if value is not None]
    constants = [value for value in node.inputs if is_constant_operand(value)]
    return len(constants) == 1 and any(p is not None and p.op_type == "MatMul" for p in producers)


def _is_fused(producer: ir.Node | None, reader: ir.Node) -> bool:
    """A ReLU after an operator, a bias after a MatMul: one integer operation."""
    if producer is None:
        return False
    if reader.op_type == "Add":
        return producer.op_type == "MatMul" and _has_bias(reader)
    return reader.op_type == "Relu" and producer.op_type in CONVERTERS


def _output_refusal(node: ir.Node) -> str | None:
    for use in node.outputs[0].uses():
        if use.node.op_type != "QuantizeLinear" and not _is_fused(node, use.node):
            return "the result is not quantised to uint8 codes: float arithmetic is not executed on HVX"
    if node.outputs[0].is_graph_output():
        return "the result is a float output; QuantizeLinear and DequantizeLinear have to follow"
    return None
