"""Puts constants second."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.properties import CONSTANTS_SECOND
from passes.core.rewrite import Rewrite, is_op


class OrderOperands(Rewrite):
    """Mul(constant, x) → Mul(x, constant), and likewise for Add.

    Compilers look for constants, such as the scale of a normalisation, in the second place.
    """

    gives = (CONSTANTS_SECOND,)

    def rewrite_node(self, _: ir.Graph, node: ir.Node) -> bool:
        """Swaps the operands of one node."""
        if not is_op(node, "Add", "Mul"):
            return False
        left, right = node.inputs
        if left is None or right is None or not left.is_initializer() or right.is_initializer():
            return False
        node.replace_input_with(0, right)
        node.replace_input_with(1, left)
        return True
