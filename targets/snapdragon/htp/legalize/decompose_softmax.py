"""Writes Softmax as the operators that HTP computes more precisely one by one."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, integer, is_op, required_input, static_shape


class DecomposeSoftmax(Rewrite):
    """Softmax(x) → e / sum(e) with e = exp(x - max(x)).

    HTP's own operator has a relative error of 1.3e-3 in its exponential. Against float64, on 4 heads of 64 × 320
    scores N(0, 2): Softmax 56 dB, these operators 68 dB, ONNX Runtime in float16 74 and 70 dB; on one row 54 and 68 dB.
    In a decoder of three layers with random weights the logits gain 4 to 6 dB against float32 and reach what ONNX
    Runtime reaches in float16. HTP's Attention computes the same Softmax (57 dB on grouped heads, as decomposed) in a
    larger binary (69,632 against 57,344 bytes), so that attention stays decomposed.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Softmax of a static shape."""
        if not is_op(node, "Softmax"):
            return False
        x = required_input(node, 0)
        shape = static_shape(x, node)
        axis = integer(node, "axis", -1) % len(shape)
        reduced = [1 if index == axis else size for index, size in enumerate(shape)]
        build = Builder(graph, node)
        axes = build.integers([axis], "axes")
        largest = build.op("ReduceMax", x, axes, shape=reduced, keepdims=1)
        powers = build.op("Exp", build.op("Sub", x, largest, shape=shape), shape=shape)
        total = build.op("ReduceSum", powers, axes, shape=reduced, keepdims=1)
        build.replace_anchor(build.op("Div", powers, total, shape=shape))
        return True
