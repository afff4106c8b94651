"""Stores weights so that the first channels of a group are the first bytes of its weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir

from passes.core.lazy_tensor import TRANSPOSE_BLOCK_BYTES, transposed
from passes.core.rewrite import Builder, integer, is_op, shared_initializer
from passes.learning.pruning.dependencies import Group
from passes.learning.pruning.products import LEADING
from program.lazy_tensor import BlockwiseTensor, row_blocks, static_shape
from program.program import Array, Program

LEAST_BYTES = 1024
"""Smaller tensors lie inside the graphs and are copied, whatever their layout."""


def lead_with(program: Program, groups: Iterable[Group]) -> None:
    """Puts the axis of every group first in its large weights, in place; a Transpose undoes it where it is read.

    Kernels read a transposed weight as it lies, so that the Transpose costs nothing on the device. For a quantised
    weight it comes after DequantizeLinear.

    Args:
        program: Analysed, perhaps quantised, program.
        groups: No weight may be a member of two of them.
    """
    axes = {member.name: member.axis for group in groups for member in group.members if member.axis}
    for component in program.components.values():
        graph = component.model.graph
        for name in sorted(axes.keys() & graph.initializers.keys()):
            value = graph.initializers[name]
            if value.const_value is not None and value.const_value.nbytes >= LEAST_BYTES:
                _lead(graph, value, axes[name])


def _lead(graph: ir.Graph, value: ir.Value, axis: int) -> None:
    tensor, name = value.const_value, f"{value.name}{LEADING}"
    if tensor is None:
        return
    rank = len(tensor.shape)
    order = [axis, *(index for index in range(rank) if index != axis)]
    moved = shared_initializer(graph, name, _moved(tensor, order, name))
    for use in tuple(value.uses()):
        node = use.node
        build = Builder(graph, node)
        inverse = [order.index(index) for index in range(rank)]
        if is_op(node, "DequantizeLinear") and use.idx == 0:
            along = order.index(integer(node, "axis", 1) % rank)
            decoded = build.op(
                "DequantizeLinear", moved, *node.inputs[1:], dtype=node.outputs[0].dtype,
                shape=[int(moved.shape[i]) for i in range(rank)], axis=along,  # type: ignore[index,arg-type]
            )  # fmt: skip
            build.replace_anchor(build.op("Transpose", decoded, perm=inverse))
        else:
            original = [int(size) for size in tensor.shape.numpy()]
            node.replace_input_with(use.idx, build.op("Transpose", moved, perm=inverse, shape=original))
    if not value.uses() and value.name:
        del graph.initializers[value.name]


def _moved(tensor: ir.TensorProtocol, order: list[int], name: str) -> ir.TensorProtocol:
    """Returns a tensor with permuted axes, computed when it is written."""
    shape = static_shape(tensor)
    if len(shape) == 2:
        return transposed(tensor, name)

    def read(start: int, stop: int) -> Array:
        blocks = [np.moveaxis(block, order[0], 0)[start:stop] for block in row_blocks(tensor)]
        # the first axis of the source comes second: its blocks are joined there
        return np.ascontiguousarray(np.concatenate(blocks, axis=1))

    return BlockwiseTensor(
        read,
        tensor.dtype,
        tuple(shape[axis] for axis in order),
        name=name,
        block_bytes=TRANSPOSE_BLOCK_BYTES,
    )
