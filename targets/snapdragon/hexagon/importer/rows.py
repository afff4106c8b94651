"""Softmax, LayerNormalization and means as integer operations."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import (
    optional_input,
    read_values,
    refused,
    required_input,
)
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.softmax import Softmax
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def convert_softmax(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """Softmax over any axis."""
    del minimum  # a probability is never negative
    source = context.tensor(required_input(node, 0), node.attributes.get_int("axis", -1))
    result = dataclasses.replace(output, channel_axis=source.channel_axis)
    context.add(Softmax(node_name(node), source, result))
    return result


def convert_layer_norm(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """LayerNormalization over the last axis."""
    source = context.tensor(required_input(node, 0), -1)
    if node.attributes.get_int("axis", -1) % len(source.shape) != len(source.shape) - 1 or minimum:
        raise refused(node, "an axis that is not the last, or a ReLU")
    gain = read_values(node, required_input(node, 1))
    shift = (
        np.zeros_like(gain) if optional_input(node, 2) is None else read_values(node, required_input(node, 2))
    )
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    context.add(LayerNorm(node_name(node), source, output, gain, shift, epsilon))
    return output


def convert_mean(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """GlobalAveragePool, or ReduceMean over all positions: every axis but a batch of one and that of the channels."""
    value = required_input(node, 0)
    rank = len(context.tensor(value).shape)
    axes = _mean_axes(node, rank)
    kept = [axis for axis in range(1, rank) if axis not in axes]
    if 0 in axes or len(kept) != 1 or minimum:
        raise refused(node, "axes that are not all positions, or a ReLU")
    source = context.tensor(value, kept[0])
    if source.shape[0] != 1:
        raise refused(node, "a batch")
    result = dataclasses.replace(output, channel_axis=kept[0] if len(output.shape) == rank else 1)
    context.add(Mean(node_name(node), source, result))
    return result


def _mean_axes(node: ir.Node, rank: int) -> list[int]:
    if node.op_type != "ReduceMean":
        return list(range(2, rank))
    given = qdq.constant_array(optional_input(node, 1))
    return [] if given is None else [int(axis) % rank for axis in given.reshape(-1)]
