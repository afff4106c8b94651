"""Constants that an element-wise operator takes like an activation: uint8 codes with one scale."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from exporter.program import Array
from passes.integer.affine import IntegerType, Range, affine_encoding
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import refused
from targets.snapdragon.hexagon.operations.constant import Constant
from targets.snapdragon.hexagon.tensor import QuantizedTensor, as_codes

_SIGNED_OFFSET = 128
"""From int8 codes to uint8 codes of the same values."""


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
    array, producer = qdq.constant_array(value), value.producer()
    if array is None and producer is not None:
        stored = qdq.constant_array(producer.inputs[0])
        scale, zero_point = qdq.parameters(producer)
        if stored is not None and scale.size == zero_point.size == 1:
            offset = {"int8": _SIGNED_OFFSET, "uint8": 0}.get(stored.dtype.name)
            if offset is not None:
                codes = (stored.astype(np.int64) + offset).astype(np.uint8)
                return codes, float(scale[0]), int(zero_point[0]) + offset
    constant = qdq.read_constant(value)
    if constant is None:
        raise refused(node, "an operand that is not a constant")
    return _rounded(node, constant.values)


def _rounded(node: ir.Node, values: Array) -> tuple[Array, float, int]:
    if not np.isfinite(values).all():
        raise refused(node, "a constant with a value that is not finite")
    ends = Range(min(0.0, float(values.min())), max(0.0, float(values.max())))
    encoding = affine_encoding(ends, IntegerType.UINT8)
    codes = as_codes(np.rint(values / encoding.scale) + encoding.zero_point)
    return codes, encoding.scale, encoding.zero_point
