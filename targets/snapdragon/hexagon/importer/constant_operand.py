"""Constants that an element-wise operator takes like an activation: uint8 codes with one scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from passes.integer.affine import Range, affine_encoding
from program.number_format import IntegerType
from program.program import Array
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import refused
from targets.snapdragon.hexagon.operations.constant import Constant
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor, as_codes

_OFFSETS = {"int8": 128, "uint8": 0}
"""From codes to uint8 codes of the same values."""


def is_constant_operand(value: ir.Value | None) -> bool:
    """Whether a value is an initializer, or one that is dequantised."""
    if value is None:
        return False
    producer = value.producer()
    if producer is not None and producer.op_type == "DequantizeLinear":
        return qdq.constant_array(producer.inputs[0]) is not None
    return qdq.constant_array(value) is not None


def constant_operand(node: ir.Node, value: ir.Value, goal: QuantizedTensor) -> Constant:
    """Reads a constant operand; codes with one scale are kept, anything else is rounded to 256 steps.

    Args:
        node: That reads it.
        value: For which `is_constant_operand` holds.
        goal: Gives rank and channel axis; the constant is broadcast to it later.

    Raises:
        TargetError: A value is not finite.
    """
    codes, scale, zero_point = _codes(node, value)
    ranked = codes.reshape((1,) * (len(goal.shape) - codes.ndim) + codes.shape)
    name = f"{value.name}.{node_name(node)}.constant"
    output = QuantizedTensor(name, ranked.shape, goal.channel_axis, scale, zero_point)
    return Constant(node_name(node), output, ranked)


def expand(constant: Constant, goal: QuantizedTensor) -> Constant:
    """Repeats the codes to the goal's shape."""
    output = dataclasses.replace(constant.output, shape=goal.shape)
    return dataclasses.replace(constant, output=output, codes=np.broadcast_to(constant.codes, goal.shape))


def _codes(node: ir.Node, value: ir.Value) -> tuple[Array, float, int]:
    """(uint8 codes, scale, zero point)."""
    stored = _stored_codes(value)
    if stored is not None:
        return stored
    constant = qdq.read_constant(value)
    if constant is None:
        raise refused(node, "an operand that is not a constant")
    return _rounded(node, constant.values)


def _stored_codes(value: ir.Value) -> tuple[Array, float, int] | None:
    """Those of the graph; None where they have several scales, other types, or there are none."""
    decode = value.producer()
    if decode is None or decode.op_type != "DequantizeLinear":
        return None
    stored, (scale, zero_point) = qdq.constant_array(decode.inputs[0]), qdq.parameters(decode)
    offset = None if stored is None else _OFFSETS.get(stored.dtype.name)
    if stored is None or offset is None or not scale.size == zero_point.size == 1:
        return None
    return (stored.astype(np.int64) + offset).astype(np.uint8), float(scale[0]), int(zero_point[0]) + offset


def _rounded(node: ir.Node, values: Array) -> tuple[Array, float, int]:
    if not np.isfinite(values).all():
        raise refused(node, "a constant with a value that is not finite")
    ends = Range(min(0.0, float(values.min())), max(0.0, float(values.max())))
    encoding = affine_encoding(ends, IntegerType.UINT8)
    codes = as_codes(np.rint(values / encoding.scale) + encoding.zero_point)
    return codes, encoding.scale, encoding.zero_point
