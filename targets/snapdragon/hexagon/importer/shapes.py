"""Reshape and Transpose as integer operations."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import (
    required_input,
)
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def convert_regrouping(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """Reshape and its kin, Transpose; a change of scale is an operation of its own."""
    source = context.tensor(required_input(node, 0))
    permutation: tuple[int, ...] = ()
    axis = output.channel_axis
    if node.op_type == "Transpose":
        order = node.attributes.get_ints("perm", list(reversed(range(len(source.shape)))))
        permutation = tuple(int(a) for a in order)
        axis = permutation.index(source.channel_axis)
    if not dataclasses.replace(output, channel_axis=axis).has_planes:
        axis = len(output.shape) - 1
    moved = dataclasses.replace(output, channel_axis=axis, scale=source.scale, zero_point=source.zero_point)
    if moved == dataclasses.replace(output, channel_axis=axis) and not minimum:
        context.add(Regrouping(node_name(node), source, moved, permutation))
        return moved
    moved = dataclasses.replace(moved, name=f"{output.name}.moved")
    result = dataclasses.replace(output, channel_axis=axis)
    context.add(Regrouping(node_name(node), source, moved, permutation))
    context.add(Requantization(node_name(node), moved, result, minimum))
    return result
