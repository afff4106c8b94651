"""Writes squares as products."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import COMPUTE_KEY, Builder, Rewrite, has_shape_of, is_op, scalar_constant


class SquareByProduct(Rewrite):
    """Pow(x, 2) → Mul(x, x), which still computes in float32 where Pow would.

    A power in 16-bit codes loses small squares beside large ones on some accelerators; a product does not.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one square."""
        if not is_op(node, "Pow") or scalar_constant(node.inputs[1]) != 2.0:
            return False
        x, result = node.inputs[0], node.outputs[0]
        if x is None or not has_shape_of(x, result):  # an exponent of more axes than x adds axes
            return False
        build = Builder(graph, node)
        dtype = ir.DataType.FLOAT if x.dtype is None else x.dtype
        square = build.op("Mul", x, x, dtype=dtype, metadata={COMPUTE_KEY: "float32"})
        square.shape = result.shape
        build.replace_anchor(square)
        return True
