"""Conv, MatMul, Gemm, Add, Sub and Mul as integer operations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from program.program import Array
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.broadcasting import equal_operands
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import (
    optional_input,
    pair,
    read_values,
    read_weight,
    refused,
    required_input,
)
from targets.snapdragon.hexagon.importer.tables import convert_with_number, has_number
from targets.snapdragon.hexagon.operations.addition import Addition
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.lookup import Lookup
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.program.fixed_point import HEADROOM, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor


def convert_convolution(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """Conv in one or two dimensions."""
    source = context.tensor(required_input(node, 0), 1)
    weight = read_weight(node, 1)
    if source.shape[0] != 1 or weight.codes.ndim not in (3, 4):
        raise refused(node, "a batch, or three dimensions")
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        raise refused(node, "auto_pad")
    if not _is_per_output(weight, 0):
        raise refused(node, "a weight with scales that are not of its output channels")
    spatial = weight.codes.ndim - 2
    strides = pair(node.attributes.get_ints("strides", [1] * spatial), 1)
    dilations = pair(node.attributes.get_ints("dilations", [1] * spatial), 1)
    pads = list(node.attributes.get_ints("pads", [0] * (2 * spatial)))
    (top, left), (bottom, right) = pair(pads[:spatial], 0), pair(pads[spatial:], 0)
    weights = weight.codes.reshape(*weight.codes.shape[:2], *pair(weight.codes.shape[2:], 1))
    groups = node.attributes.get_int("group", 1)
    result = dataclasses.replace(output, channel_axis=1)
    factors = _factors(weight, source, result)
    bias = _bias(node, optional_input(node, 2), weights, weight, source)
    scale = fixed_point_scale(factors)
    padding = (top, left, bottom, right)
    context.add(
        Convolution(
            node_name(node),
            source,
            result,
            weights,
            bias,
            scale,
            strides,
            padding,
            dilations,
            minimum,
            groups,
        )
    )
    return result


def convert_product(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """MatMul or Gemm by a weight, or the Add of a bias to a MatMul."""
    bias = optional_input(node, 2)
    if node.op_type == "Gemm" and not _is_default_gemm(node):
        raise refused(node, "transA, alpha or beta")
    return _dense(context, node, bias, output, minimum)


def _dense(
    context: NodeContext,
    node: ir.Node,
    bias: ir.Value | None,
    output: QuantizedTensor,
    minimum: int,
) -> QuantizedTensor:
    weight = read_weight(node, 1)
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) == 1
    if weight.codes.ndim != 2 or not _is_per_output(weight, 0 if transposed else 1):
        raise refused(node, "a weight that is not a matrix with scales of its output channels")
    source = context.tensor(required_input(node, 0), -1)
    matrix = weight.codes if transposed else weight.codes.T
    weights = np.ascontiguousarray(matrix)[:, :, None, None]
    scale = fixed_point_scale(_factors(weight, source, output))
    total = _bias(node, bias, weights, weight, source)
    context.add(Convolution(node_name(node), source, output, weights, total, scale, minimum=minimum))
    return output


def convert_sum(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """The sum of two activations, or of one and a constant, or a MatMul's bias."""
    for index in range(2):
        producer = required_input(node, index).producer()
        if producer is not None and producer.op_type == "MatMul":
            bias = required_input(node, 1 - index)
            return _dense(context, producer, bias, output, minimum)
    return _convert_two(context, node, output, minimum, Addition)


def convert_difference(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """The difference of two activations, or of one and a constant, as the sum with what is subtracted negated."""
    return _convert_two(context, node, output, minimum, Addition, _negated)


def convert_multiplication(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """The product of two activations, or of one and a constant."""
    return _convert_two(context, node, output, minimum, Multiplication)


def _convert_two(
    context: NodeContext,
    node: ir.Node,
    output: QuantizedTensor,
    minimum: int,
    operation: type[Addition | Multiplication],
    change_second: Callable[[NodeContext, ir.Node, QuantizedTensor], QuantizedTensor] | None = None,
) -> QuantizedTensor:
    """A table where one operand is a number, else the operation on both."""
    if has_number(node):
        return convert_with_number(context, node, output, minimum)
    left, right = equal_operands(context, node, output)
    if change_second is not None:
        right = change_second(context, node, right)
    result = dataclasses.replace(output, channel_axis=left.channel_axis)
    context.add(operation(node_name(node), left, right, result, minimum))
    return result


def _negated(context: NodeContext, node: ir.Node, tensor: QuantizedTensor) -> QuantizedTensor:
    # (code - zero point) changes its sign, exactly, where both are counted down from the largest code
    name, zero_point = f"{node_name(node)}.negated", LEVELS - tensor.zero_point
    negated = dataclasses.replace(tensor, name=name, zero_point=zero_point)
    context.add(Lookup(node_name(node), tensor, negated, np.arange(LEVELS, -1, -1, dtype=np.uint8)))
    return negated


def _is_per_output(weight: qdq.Constant, axis: int) -> bool:
    return weight.scale.size == 1 or weight.axis == axis


def _factors(weight: qdq.Constant, source: QuantizedTensor, output: QuantizedTensor) -> Array:
    factors: Array = weight.scale * source.scale / output.scale
    return factors


def _bias(
    node: ir.Node, value: ir.Value | None, weights: Array, weight: qdq.Constant, source: QuantizedTensor
) -> Array:
    """The bias in units of the accumulator, with the input's zero point folded in."""
    units: Array = np.zeros(len(weights))
    if value is not None:
        given = read_values(node, value)
        if given.size not in (1, len(weights)):
            raise refused(node, "a constant that is not one number for each output channel")
        units = np.rint(given / (weight.scale * source.scale))
    folded = units - source.zero_point * weights.astype(np.int64).sum(axis=(1, 2, 3))
    if np.abs(folded).max() >= HEADROOM:
        raise refused(node, "a bias that does not fit into the accumulator")
    total: Array = folded.astype(np.int32)
    return total


def _is_default_gemm(node: ir.Node) -> bool:
    attributes = node.attributes
    return (
        attributes.get_int("transA", 0) == 0
        and attributes.get_float("alpha", 1.0) == 1.0
        and attributes.get_float("beta", 1.0) == 1.0
    )
