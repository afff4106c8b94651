"""Brings the operands of an element-wise operator to one shape."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import refused, required_input
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.tensor import QuantizedTensor


def equal_operands(
    context: NodeContext, node: ir.Node, output: QuantizedTensor
) -> tuple[QuantizedTensor, QuantizedTensor]:
    """Both operands with the output's shape, and with their channels on one axis.

    Raises:
        TargetError: An operand is repeated along some of the axes that make up the height, but not along all.
    """
    values = required_input(node, 0), required_input(node, 1)
    whole = [tensor for tensor in map(context.tensor, values) if tensor.shape == output.shape]
    axis = whole[0].channel_axis if whole else output.channel_axis
    goal = dataclasses.replace(output, channel_axis=axis)
    left, right = (_expanded(context, node, value, goal) for value in values)
    return left, right


def _expanded(context: NodeContext, node: ir.Node, value: ir.Value, goal: QuantizedTensor) -> QuantizedTensor:
    tensor = context.tensor(value)
    missing = len(goal.shape) - len(tensor.shape)
    if missing:
        shape = (*[1] * missing, *tensor.shape)
        name = f"{tensor.name}.{node_name(node)}.rank{len(shape)}"
        ranked = dataclasses.replace(tensor, name=name, shape=shape, channel_axis=goal.channel_axis)
        context.add(Regrouping(node_name(node), tensor, ranked))
        tensor = ranked
    else:
        tensor = context.tensor(value, goal.channel_axis)
    if tensor.shape == goal.shape:
        return tensor
    if any(extent not in (1, whole) for extent, whole in zip(tensor.extents, goal.extents, strict=True)):
        raise refused(node, f"a shape {tensor.shape} that is repeated to {goal.shape}")
    expanded = dataclasses.replace(tensor, name=f"{tensor.name}.{node_name(node)}.whole", shape=goal.shape)
    context.add(Broadcast(node_name(node), tensor, expanded))
    return expanded
