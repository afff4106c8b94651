"""Makes axes inputs one-dimensional."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.properties import AXES
from passes.core.rewrite import Builder, Rewrite, input_at, is_op, small_constant


class CanonicalizeAxes(Rewrite):
    """Replaces 0-d constant axes of Squeeze, Unsqueeze and the reductions by 1-d ones.

    PyTorch's exporter writes `axes = 2` where the operators ask for a 1-d tensor; importers iterate over it.
    """

    gives = (AXES,)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites the axes of one node."""
        if not (
            is_op(node, "Squeeze", "Unsqueeze") or (node.domain == "" and node.op_type.startswith("Reduce"))
        ):
            return False
        axes = small_constant(input_at(node, 1))
        if axes is None or axes.ndim == 1:
            return False
        node.replace_input_with(1, Builder(graph, node).integers([int(axes.reshape(()))], "axes"))
        return True
