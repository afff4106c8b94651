"""Writes a Transpose of many axes as Transposes of at most five."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, is_op, required_input, static_shape

LARGEST_RANK = 5
"""Of a tensor that accelerators transpose."""


class SplitTranspose(Rewrite):
    """Transpose of rank ≥ 6 → Reshape, Transpose of rank ≤ 5, Reshape; several where one is not enough.

    Axes of size 1 are left out, and axes that stay neighbours count as one. What is left is sorted axis by axis:
    moving one block of axes in front of another one is a Transpose of rank 4.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Transpose of rank 6 and above."""
        if not is_op(node, "Transpose"):
            return False
        x = required_input(node, 0)
        shape = static_shape(x, node)
        if len(shape) <= LARGEST_RANK:
            return False
        permutation = list(node.attributes.get_ints("perm", tuple(reversed(range(len(shape))))))
        sizes, order = merge_axes(shape, permutation)
        build = Builder(graph, node)
        current = build.reshape(x, sizes)
        if len(sizes) <= LARGEST_RANK:
            current = build.transpose(current, order, sizes)
        else:
            current = _sorted_by_moves(build, current, sizes, order)
        build.replace_anchor(build.reshape(current, [shape[axis] for axis in permutation]))
        self.remark(
            node,
            f"Transpose of rank {len(shape)} split",
            f"accelerators transpose rank {LARGEST_RANK} at most",
        )
        return True


def merge_axes(shape: Sequence[int], permutation: Sequence[int]) -> tuple[list[int], list[int]]:
    """Drops axes of size 1 and merges axes that stay neighbours.

    Args:
        shape: Of the input.
        permutation: Input axis of each output axis.

    Returns:
        Sizes of the merged input axes, and their permutation.
    """
    groups: list[list[int]] = []
    kept = [axis for axis in permutation if shape[axis] != 1]
    longer = [axis for axis, size in enumerate(shape) if size != 1]
    following = dict(itertools.pairwise(longer))
    for axis in kept:
        if groups and following.get(groups[-1][-1]) == axis:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ordered = sorted(groups)
    sizes = [math.prod(shape[axis] for axis in group) for group in ordered]
    return sizes or [1], [ordered.index(group) for group in groups] or [0]


def _sorted_by_moves(build: Builder, x: ir.Value, sizes: list[int], order: Sequence[int]) -> ir.Value:
    """Brings one axis after the other into place: [done, skipped, axis, rest] → [done, axis, skipped, rest]."""
    axes = list(range(len(sizes)))
    for position, axis in enumerate(order):
        found = axes.index(axis)
        if found == position:
            continue
        blocks = (axes[:position], axes[position:found], [axis], axes[found + 1 :])
        shape = [math.prod(sizes[index] for index in block) for block in blocks]
        x = build.transpose(build.reshape(x, shape), (0, 2, 1, 3), shape)
        axes = [*blocks[0], axis, *blocks[1], *blocks[3]]
    return x
