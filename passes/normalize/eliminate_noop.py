"""Removes nodes that hand their input on unchanged."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Rewrite, has_shape_of, input_at, is_op, scalar_constant, small_constant

_SHAPE_OPS = ("Reshape", "Expand", "Flatten", "Squeeze", "Unsqueeze")


class EliminateNoop(Rewrite):
    """Removes layout nodes that keep the shape, identity permutations, casts to one type, x · 1 and infinite bounds."""

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Removes one node, unless it produces a graph output (whose name must stay)."""
        if node.domain or not node.outputs or node.outputs[0].is_graph_output():
            return False
        source = _handed_on(node)
        if source is None:
            return False
        node.outputs[0].replace_all_uses_with(source)
        graph.remove(node, safe=True)
        return True


def _handed_on(node: ir.Node) -> ir.Value | None:
    """The input that is the node's output too, if there is one."""
    if is_op(node, "Max", "Min") and len(node.inputs) == 2:
        # what a search for the largest element is started with
        bound = -np.inf if node.op_type == "Max" else np.inf
        for value, other in (node.inputs, reversed(node.inputs)):
            if scalar_constant(other) == bound and has_shape_of(value, node.outputs[0]):
                return value
        return None
    return node.inputs[0] if node.inputs and _keeps_first(node) else None


def _keeps_first(node: ir.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    if source is None:
        return False
    if is_op(node, "Cast"):
        return source.dtype is not None and source.dtype == result.dtype
    if is_op(node, "Transpose"):
        permutation = list(node.attributes.get_ints("perm", ()))
        return bool(permutation) and permutation == sorted(permutation)
    same_shape = has_shape_of(source, result)
    if is_op(node, "Mul", "Div"):
        return same_shape and scalar_constant(node.inputs[1]) == 1.0
    return same_shape and (is_op(node, *_SHAPE_OPS) or (is_op(node, "Slice") and _goes_forward(node)))


def _goes_forward(node: ir.Node) -> bool:
    """Tells whether all steps of a Slice are known to be positive: backward it keeps the shape, and turns it round."""
    steps = input_at(node, 4)
    known = small_constant(steps)
    return steps is None or (known is not None and bool((known > 0).all()))
