"""Removes nodes that hand their input on unchanged."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.rewrite import Rewrite, is_op, scalar_constant

_SHAPE_OPS = ("Reshape", "Expand", "Flatten", "Squeeze", "Unsqueeze", "Slice")


class EliminateNoop(Rewrite):
    """Removes layout nodes that keep the shape, identity permutations, casts to one type, x · 1 and infinite bounds."""

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Removes one node, unless it produces a graph output (whose name must stay)."""
        if node.domain or not node.outputs or node.outputs[0].is_graph_output() or not _is_noop(node):
            return False
        source = node.inputs[0]
        if source is None:
            return False
        node.outputs[0].replace_all_uses_with(source)
        graph.remove(node, safe=True)
        return True


def _is_noop(node: ir.Node) -> bool:
    source, result = node.inputs[0] if node.inputs else None, node.outputs[0]
    if source is None:
        return False
    if is_op(node, "Cast"):
        return source.dtype is not None and source.dtype == result.dtype
    same_shape = source.shape is not None and source.shape == result.shape and source.shape.is_static()
    if is_op(node, "Transpose"):
        permutation = list(node.attributes.get_ints("perm", ()))
        return bool(permutation) and permutation == sorted(permutation)
    if is_op(node, "Mul", "Div"):
        return same_shape and scalar_constant(node.inputs[1]) == 1.0
    if is_op(node, "Max", "Min") and len(node.inputs) == 2:
        # what a largest element is started with
        return same_shape and scalar_constant(node.inputs[1]) == (
            -np.inf if node.op_type == "Max" else np.inf
        )
    return same_shape and is_op(node, *_SHAPE_OPS)
