"""Residual branches and layers of a component, found by structure: x + f(x)."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable

import onnx_ir as ir

from passes.core.rewrite import is_op, required_input
from passes.learning.pruning.products import base_name, stored_weight
from program.program import Component

_LAYER = re.compile(r"^.*?[^.\d][^.]*\.\d+(?=\.)")
"""Up to the first number of a weight's name: `model.layers.3` of `model.layers.3.mlp.up_proj.weight`."""


@dataclasses.dataclass(frozen=True)
class Branch:
    """One Add(x, f(x)).

    Attributes:
        layer: Common stem of its weights' names, such as `model.layers.3`; the Add's name where they have none.
        add: The Add.
        shortcut: Which input of it is x.
        output: Its result, or that of the norm that follows it (post-norm layers).
        nodes: Those of f.
    """

    layer: str
    add: ir.Node
    shortcut: int
    output: ir.Value
    nodes: tuple[ir.Node, ...]

    @property
    def input(self) -> ir.Value:
        """x, as the graph is now."""
        return required_input(self.add, self.shortcut)


def residual_branches(component: Component) -> list[Branch]:
    """Returns the residual branches of a component, in graph order; only such that contain a weight."""
    graph = component.model.graph
    order = {node: index for index, node in enumerate(graph)}
    branches = []
    for node in graph:
        if not is_op(node, "Add") or len(node.inputs) != 2:
            continue
        for shortcut in (0, 1):
            x, result = required_input(node, shortcut), required_input(node, 1 - shortcut)
            nodes = _between(x, result, order)
            if nodes is not None:
                branches += _branch(node, shortcut, nodes)
                break
    return branches


def _branch(node: ir.Node, shortcut: int, nodes: tuple[ir.Node, ...]) -> list[Branch]:
    weights = list(_weights(nodes))
    if not weights:
        return []  # rotary embedding and the like
    stems = Counter(found.group() for found in map(_LAYER.match, weights) if found)
    layer = stems.most_common(1)[0][0] if stems else node.name or ""
    output = node.outputs[0]
    users = [use.node for use in output.uses()]
    if len(users) == 1 and is_op(users[0], "LayerNormalization", "RMSNormalization"):
        output = users[0].outputs[0]
    return [Branch(layer, node, shortcut, output, nodes)]


def _between(x: ir.Value, result: ir.Value, order: dict[ir.Node, int]) -> tuple[ir.Node, ...] | None:
    """Returns the nodes that make `result` from `x`, in graph order; None if it does not depend on `x`.

    Nodes before the one that makes `x` cannot depend on it, so the search stops there.
    """
    producer = x.producer()
    first = -1 if producer is None else order[producer]
    pending, seen, reached = [result], set[ir.Node](), False
    while pending:
        value = pending.pop()
        reached = reached or value is x
        node = value.producer()
        if value is x or node is None or node in seen or order[node] <= first:
            continue
        seen.add(node)
        pending += [read for read in node.inputs if read is not None]
    return tuple(sorted(seen, key=order.__getitem__)) if reached else None


def _weights(nodes: Iterable[ir.Node]) -> Iterable[str]:
    for node in nodes:
        if is_op(node, "MatMul", "Gemm", "Conv"):
            found = stored_weight(required_input(node, 1))
            if found is not None:
                yield base_name(found[0].name or "")
