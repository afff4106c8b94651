"""Gives RMSNormalization a single axis of rows."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, integer, is_op, required_input, static_shape


class FlattenRmsNormalization(Rewrite):
    """RMSNormalization of [a, b, …, size] → Reshape to [1, a·b·…, size], the same, Reshape back.

    Accelerators are made for rank 3 with a batch of 1. Heads that are normalised one by one, as in Qwen3, have two
    axes of rows, which a vendor's operator may compute wrongly without an error.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one RMSNormalization over the last axis."""
        if not is_op(node, "RMSNormalization"):
            return False
        x = required_input(node, 0)
        shape = static_shape(x, node)
        rows = [size for size in shape[:-1] if size > 1]
        if integer(node, "axis", -1) % len(shape) != len(shape) - 1 or len(rows) < 2:
            return False
        flat = (1, math.prod(rows), shape[-1])
        build = Builder(graph, node)
        attributes = {name: attribute.value for name, attribute in node.attributes.items()} | {"axis": -1}
        normalised = build.op(
            "RMSNormalization",
            build.reshape(x, flat),
            *node.inputs[1:],
            dtype=node.outputs[0].dtype,
            shape=flat,
            **attributes,
        )
        build.replace_anchor(build.reshape(normalised, shape))
        return True
