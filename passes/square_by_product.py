"""Writes squares as products."""

from __future__ import annotations

import onnx_ir as ir

from passes.rewrite import COMPUTE_KEY, Builder, Rewrite, is_op, scalar_constant


class SquareByProduct(Rewrite):
    """Pow(x, 2) → Mul(x, x), which still computes in float32 where Pow would.

    HTP's Pow with 16-bit codes is wrong: 0.2 dB for the squares of a spectrum (v79, onnxruntime-qnn 2.7.0).
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one square."""
        if not is_op(node, "Pow") or scalar_constant(node.inputs[1]) != 2.0:
            return False
        x, exponent = node.inputs
        result = node.outputs[0]
        if x is None or exponent is None or not _broadcasts_nothing(x, exponent):
            return False
        build = Builder(graph, node)
        dtype = ir.DataType.FLOAT if x.dtype is None else x.dtype
        square = build.op("Mul", x, x, dtype=dtype, metadata={COMPUTE_KEY: "float32"})
        square.shape = result.shape
        build.replace_anchor(square)
        return True


def _broadcasts_nothing(x: ir.Value, exponent: ir.Value) -> bool:
    ranks = [None if value.shape is None else len(value.shape) for value in (x, exponent)]
    return ranks[1] == 0 or (ranks[0] is not None and ranks[1] is not None and ranks[1] <= ranks[0])
