"""Which dimensions the axes of every tensor of a program have; filled by the operators' rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import onnx_ir as ir

from passes.core.rewrite import static_shape
from passes.learning.pruning.dimensions import Axis, Dimensions

Axes = tuple[Axis, ...]
"""One for each axis of a tensor."""

Rule = Callable[["Tracer", ir.Node], None]
"""Relates the axes of a node's inputs to those of its outputs."""

RULES: dict[str, Rule] = {}
"""By operator."""


def rule(*op_types: str) -> Callable[[Rule], Rule]:
    """Registers the rule of operators of the default domain."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(op_types, function))
        return function

    return register


class Tracer:
    """Axes of values and initializers.

    Initializers are known by their global names, so that a weight that several components read is one tensor.

    Attributes:
        dimensions: All dimensions.
        values: Axes of computed values and graph inputs.
        initializers: Axes by initializer name.
        averages: Means and norms, and the axes they average over.
    """

    def __init__(self) -> None:
        self.dimensions = Dimensions()
        self.values: dict[ir.Value, Axes] = {}
        self.initializers: dict[str, Axes] = {}
        self.averages: list[tuple[ir.Node, Axis]] = []

    def trace(self, node: ir.Node) -> None:
        """Applies a node's rule; without one, nothing it touches can be cut."""
        found = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if found is None:
            self.give_up(node, f"{node.op_type} has no pruning rule")
        else:
            found(self, node)

    def axes(self, value: ir.Value) -> Axes:
        """Returns the axes of a value, making them for an initializer or a graph input seen for the first time."""
        name, tensor = value.name or "", ir.convenience.get_const_tensor(value)
        if value.is_initializer():
            if name not in self.initializers:
                shape = value.shape if tensor is None else tensor.shape
                self.initializers[name] = self.fresh(() if shape is None else shape.numpy())
            return self.initializers[name]
        if value not in self.values:
            shape = value.shape if tensor is None else tensor.shape
            self.values[value] = self.fresh(() if shape is None else shape.numpy())
        return self.values[value]

    def fresh(self, shape: Sequence[int], fixed: str = "") -> Axes:
        """Makes axes of a shape that nothing is known of yet."""
        return tuple(self.dimensions.axis(int(size), fixed) for size in shape)

    def give_up(self, node: ir.Node, reason: str) -> None:
        """Forbids to cut whatever a node reads or makes."""
        for value in node.inputs:
            if value is not None:
                self.fix(self.axes(value), node, reason)
        for value in node.outputs:
            if value.uses() or value.is_graph_output():
                self.values[value] = self.fresh(static_shape(value, node), self.reason(node, reason))

    def fix(self, axes: Sequence[Axis], node: ir.Node, reason: str) -> None:
        """Forbids to cut axes."""
        for axis in axes:
            self.dimensions.fix(axis, self.reason(node, reason))

    def unify(self, first: Axis, second: Axis, node: ir.Node) -> None:
        """States that two axes of a node's operands are the same."""
        self.dimensions.unify(first, second, self.reason(node, "its operands split the channels differently"))

    def set(self, node: ir.Node, axes: Sequence[Axis], index: int = 0) -> None:
        """Gives an output of a node its axes."""
        self.values[node.outputs[index]] = tuple(axes)

    @staticmethod
    def reason(node: ir.Node, reason: str) -> str:
        """Returns a reason with the node it is about."""
        return f"{node.name or node.op_type}: {reason}"


def leaves_of(tracer: Tracer, axes: Mapping[str, Axes]) -> dict[str, Axes]:
    """Returns the axes by what they are made of in the end."""
    return {name: tuple(tracer.dimensions.leaves(axis) for axis in tensor) for name, tensor in axes.items()}
