"""Merges consecutive Reshape and consecutive Transpose nodes."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, is_op, static_shape


class MergeLayout(Rewrite):
    """Reshape(Reshape(x)) → Reshape(x); Transpose(Transpose(x)) → Transpose(x).

    Each of them copies the tensor on a CPU, and stands between two operators that could be fused.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Merges one node with its producer; the producer stays while others use it."""
        producer = node.inputs[0].producer() if node.inputs and node.inputs[0] is not None else None
        if producer is None or not producer.inputs or producer.inputs[0] is None:
            return False
        if is_op(node, "Transpose") and is_op(producer, "Transpose"):
            inner, outer = _permutation(producer), _permutation(node)
            if inner is None or outer is None:
                return False
            merged = [inner[axis] for axis in outer]
            node.attributes["perm"] = ir.AttrInt64s("perm", merged)
            node.replace_input_with(0, producer.inputs[0])
        elif is_op(node, "Reshape") and is_op(producer, "Reshape", "Squeeze", "Unsqueeze", "Flatten"):
            # sizes are written out, because 0 in a shape would now refer to another tensor
            shape = Builder(graph, node).integers(static_shape(node.outputs[0], node), "shape")
            node.replace_input_with(0, producer.inputs[0])
            node.replace_input_with(1, shape)
        else:
            return False
        if not producer.outputs[0].uses() and not producer.outputs[0].is_graph_output():
            graph.remove(producer, safe=True)
        return True


def _permutation(node: ir.Node) -> list[int] | None:
    permutation = node.attributes.get_ints("perm", ())
    return list(permutation) or None
