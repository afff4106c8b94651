"""Brings the operands of an element-wise operator to one shape."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from targets.snapdragon.hexagon.importer.constant_operand import (
    constant_operand,
    expand,
    is_constant_operand,
)
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import refused, required_input
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def equal_operands(
    context: NodeContext, node: ir.Node, output: QuantizedTensor
) -> tuple[QuantizedTensor, QuantizedTensor]:
    """Both operands, of which one may be a constant, with the output's shape and their channels on one axis.

    Raises:
        TargetError: An operand is repeated along some of the axes that make up the height, but not along all.
    """
    values = required_input(node, 0), required_input(node, 1)
    activations = [context.tensor(value) for value in values if not is_constant_operand(value)]
    whole = [tensor for tensor in activations if tensor.shape == output.shape]
    axis = whole[0].channel_axis if whole else output.channel_axis
    goal = dataclasses.replace(output, channel_axis=axis)
    left, right = (_operand(context, node, value, goal) for value in values)
    return left, right


def _operand(context: NodeContext, node: ir.Node, value: ir.Value, goal: QuantizedTensor) -> QuantizedTensor:
    if is_constant_operand(value):
        constant = constant_operand(node, value, goal)
        if not _is_repeatable(constant.output, goal):
            constant = expand(constant, goal)
        context.add(constant)
        tensor = constant.output
    else:
        tensor = _ranked(context, node, value, goal)
    if tensor.shape == goal.shape:
        return tensor
    if not _is_repeatable(tensor, goal):
        raise refused(node, f"a shape {tensor.shape} that is repeated to {goal.shape}")
    expanded = dataclasses.replace(tensor, name=f"{tensor.name}.{node_name(node)}.whole", shape=goal.shape)
    context.add(Broadcast(node_name(node), tensor, expanded))
    return expanded


def _ranked(context: NodeContext, node: ir.Node, value: ir.Value, goal: QuantizedTensor) -> QuantizedTensor:
    """The activation with the goal's rank and channel axis."""
    tensor = context.tensor(value)
    missing = len(goal.shape) - len(tensor.shape)
    if not missing:
        return context.tensor(value, goal.channel_axis)
    shape = (*[1] * missing, *tensor.shape)
    name = f"{tensor.name}.{node_name(node)}.rank{len(shape)}"
    ranked = dataclasses.replace(tensor, name=name, shape=shape, channel_axis=goal.channel_axis)
    context.add(Regrouping(node_name(node), tensor, ranked))
    return ranked


def _is_repeatable(tensor: QuantizedTensor, goal: QuantizedTensor) -> bool:
    return all(extent in (1, whole) for extent, whole in zip(tensor.extents, goal.extents, strict=True))
