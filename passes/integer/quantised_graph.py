"""Graphs that come quantised: with QuantizeLinear and DequantizeLinear of integers around their operators."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import is_op
from passes.integer.scheme import Scheme

PRODUCTS = ("MatMul", "Gemm", "Conv", "ConvTranspose")
"""Operators that multiply their first input by their second."""

_BYTES = frozenset({ir.DataType.UINT8, ir.DataType.INT8})
_INTEGERS = _BYTES | {ir.DataType.UINT16, ir.DataType.INT16}


def is_quantised(model: ir.Model) -> bool:
    """Tells whether a graph quantises an activation to integers; FP8 does not count."""
    return any(_code_type(node) in _INTEGERS for node in model.graph)


def source_scheme(model: ir.Model) -> Scheme:
    """Returns the scheme of a quantised graph: 8-bit activations unless one has more bits."""
    types = {_code_type(node) for node in model.graph} & _INTEGERS
    return Scheme.A8W8 if types <= _BYTES else Scheme.A16W8


def has_integer_weight(node: ir.Node) -> bool:
    """Tells whether a product reads a weight that a DequantizeLinear makes of an integer constant."""
    if not is_op(node, *PRODUCTS) or len(node.inputs) < 2:
        return False
    producer = None if node.inputs[1] is None else node.inputs[1].producer()
    if producer is None or producer.op_type != "DequantizeLinear" or producer.inputs[0] is None:
        return False
    return producer.inputs[0].const_value is not None


def _code_type(node: ir.Node) -> ir.DataType | None:
    return node.outputs[0].dtype if is_op(node, "QuantizeLinear") else None
