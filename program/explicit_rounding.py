"""Makes the rounding of float16 graphs explicit, so that the reference has one defined result.

ONNX says nothing on the precision inside an operator. ONNX Runtime's CPU provider computes most float16 operators in
float32, and where two of them follow each other it drops the rounding in between; which operators that concerns
changes between its versions. With Casts of our own around every operator it computes: operands widened to float32,
the operator in float32, its result rounded to float16 once. That is also what the lowered kernels do.
"""

from __future__ import annotations

import onnx_ir as ir

_MOVES_DATA = frozenset(
    {
        "Cast", "Concat", "DequantizeLinear", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity",
        "Pad", "QuantizeLinear", "Reshape", "Shape", "Size", "Slice", "Split", "Squeeze", "Tile", "Transpose",
        "Unsqueeze", "Where",
    }
)  # fmt: skip
"""Operators that compute nothing on floats, or whose rounding ONNX defines."""


def make_rounding_explicit(model: ir.Model) -> None:
    """Wraps every computing node with float16 operands in Casts, in place.

    Args:
        model: Any graph; one without float16 is left as it is.
    """
    for node in tuple(model.graph):
        if node.op_type not in _MOVES_DATA and _has_half(node):
            _widen_inputs(model.graph, node)
            _round_outputs(model.graph, node)


def _has_half(node: ir.Node) -> bool:
    return any(
        value is not None and value.dtype == ir.DataType.FLOAT16 for value in (*node.inputs, *node.outputs)
    )


def _widen_inputs(graph: ir.Graph, node: ir.Node) -> None:
    for index, value in enumerate(node.inputs):
        if value is not None and value.dtype == ir.DataType.FLOAT16:
            cast = _cast(value, ir.DataType.FLOAT, f"{node.outputs[0].name}/widen_{index}")
            graph.insert_before(node, cast)
            node.replace_input_with(index, cast.outputs[0])


def _round_outputs(graph: ir.Graph, node: ir.Node) -> None:
    for value in node.outputs:
        if value.dtype != ir.DataType.FLOAT16:
            continue
        name, value.name = value.name, f"{value.name}/wide"
        value.type = ir.TensorType(ir.DataType.FLOAT)
        cast = _cast(value, ir.DataType.FLOAT16, f"{name}/round")
        rounded = cast.outputs[0]
        value.replace_all_uses_with(rounded, replace_graph_outputs=True)
        rounded.name = name
        cast.replace_input_with(0, value)
        graph.insert_after(node, cast)


def _cast(value: ir.Value, dtype: ir.DataType, name: str) -> ir.Node:
    output = ir.Value(name=f"{name}/output", type=ir.TensorType(dtype), shape=value.shape)
    return ir.Node(
        "", "Cast", [value], attributes=[ir.AttrInt64("to", int(dtype))], outputs=[output], name=name
    )
