"""Groups of values that only differ in layout: they share one encoding, so that moving data never rounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from passes.core.rewrite import is_op
from passes.integer.ranges.observe_ranges import is_float

LAYOUT_OPS = frozenset(
    {
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GatherElements",
        "GatherND",
        "Identity",
        "MaxPool",
    }
    | {"Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
"""Operators whose output elements are elements of their data inputs."""


def data_inputs(node: ir.Node) -> list[int]:
    """Returns the indices of inputs a layout operator moves; none for every other operator."""
    if node.domain != "" or node.op_type not in LAYOUT_OPS:
        return []
    return list(range(len(node.inputs))) if is_op(node, "Concat") else [0]


class LayoutGroups:
    """The partition of a graph's float values by layout operators.

    Args:
        nodes: Every node of the graph.
    """

    def __init__(self, nodes: Iterable[ir.Node]) -> None:
        self._parents: dict[ir.Value, ir.Value] = {}
        self._members: dict[ir.Value, list[ir.Value]] | None = None
        for node in nodes:
            values = [
                value for value in (*node.inputs, *node.outputs) if value is not None and is_float(value)
            ]
            for value in values:
                self._parents.setdefault(value, value)
            moved = [node.inputs[index] for index in data_inputs(node)]
            self._join(
                [value for value in (*moved, *node.outputs) if value is not None and is_float(value)], moved
            )

    def find(self, value: ir.Value) -> ir.Value:
        """Returns the representative of a value's group."""
        root = value
        while self._parents.setdefault(root, root) is not root:
            root = self._parents[root]
        while self._parents[value] is not root:
            self._parents[value], value = root, self._parents[value]
        return root

    def members(self, value: ir.Value) -> Sequence[ir.Value]:
        """Returns the group of a value, in graph order."""
        if self._members is None:
            self._members = {}
            for member in tuple(self._parents):
                self._members.setdefault(self.find(member), []).append(member)
        return self._members.get(self.find(value), [value])

    def sources(self, value: ir.Value) -> list[ir.Node]:
        """Returns the nodes that compute members of a value's group (graph inputs and constants have none)."""
        producers = [member.producer() for member in self.members(value)]
        return [node for node in producers if node is not None and not data_inputs(node)]

    def consumers(self, value: ir.Value) -> list[ir.Node]:
        """Returns the nodes that compute with members of a value's group."""
        return [
            use.node for member in self.members(value) for use in member.uses() if not data_inputs(use.node)
        ]

    def _join(self, values: list[ir.Value], moved: list[ir.Value | None]) -> None:
        if not any(moved):
            return
        for value in values[1:]:
            first, second = self.find(values[0]), self.find(value)
            if first is not second:
                self._parents[second] = first
