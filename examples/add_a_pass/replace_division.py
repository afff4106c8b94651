"""Replaces divisions by a power of two with multiplications."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, is_op, scalar_constant


class ReplaceDivision(Rewrite):
    """x / c → x · (1 / c), where c is a scalar constant ±2ᵏ.

    Both sides round the same real number once, so the result is equal in every bit, and processors multiply faster
    than they divide. Other divisors stay: their reciprocal is not exact.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Div."""
        divisor = scalar_constant(node.inputs[1]) if is_op(node, "Div") else None
        dividend = node.inputs[0]
        if divisor is None or dividend is None or dividend.dtype != ir.DataType.FLOAT:
            return False
        if not _has_exact_reciprocal(divisor):
            self.remark(node, "stays a division", f"1 / {divisor:g} is not exact")
            return False
        self.remark(
            node, "becomes a multiplication", f"{divisor:g} is a power of two", {"factor": 1 / divisor}
        )
        build = Builder(graph, node)
        build.replace_anchor(build.op("Mul", dividend, build.scalar(1 / divisor, dividend.dtype, "factor")))
        return True


def _has_exact_reciprocal(value: float) -> bool:
    """Tells whether value is ±2ᵏ, with a reciprocal that is a normal float32."""
    if not math.isfinite(value) or value == 0:
        return False
    mantissa, exponent = math.frexp(value)  # value = mantissa · 2^exponent, 0.5 <= |mantissa| < 1
    return abs(mantissa) == 0.5 and abs(exponent) < 125
