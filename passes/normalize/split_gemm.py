"""Writes Gemm as MatMul and Add over a weight stored as [inputs, outputs]."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.properties import without
from passes.core.rewrite import Builder, Rewrite, input_at, integer, is_op, number, required_input


class SplitGemm(Rewrite):
    """Gemm(a, b, c) → alpha · op(a)·op(b) + beta · c.

    Run before `FoldWeightTranspose`, which folds the Transpose of a weight made here, and turns it back into a
    Gemm where the weight has to stay as it is. What follows then has one operator to quantise, not two.
    """

    gives = (without("Gemm"),)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Gemm."""
        if not is_op(node, "Gemm"):
            return False
        if not _is_float(node):
            return False
        build = Builder(graph, node)
        operands = [
            build.op("Transpose", value, perm=[1, 0]) if integer(node, flag, 0) else value
            for value, flag in ((required_input(node, 0), "transA"), (required_input(node, 1), "transB"))
        ]
        result = _times(build, build.op("MatMul", *operands), number(node, "alpha", 1.0))
        bias = input_at(node, 2)
        if bias is not None:
            result = build.op("Add", result, _times(build, bias, number(node, "beta", 1.0)))
        build.replace_anchor(result)
        return True


def _is_float(node: ir.Node) -> bool:
    """Tells whether the factors have the type of the product; an integer product keeps its operator."""
    dtype = required_input(node, 0).dtype
    return dtype is None or dtype.is_floating_point()


def _times(build: Builder, value: ir.Value, factor: float) -> ir.Value:
    if factor == 1.0:
        return value
    return build.op("Mul", value, build.scalar(factor, value.dtype or ir.DataType.FLOAT, "factor"))
