"""Makes the large negative constants of attention masks finite and small enough for float16 sums."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, input_at, is_op, small_constant
from passes.normalize.decompose.attention import MASKED

_MASK_ELEMENTS = 1 << 22
_TRANSPARENT = ("Add", "Concat", "Expand", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze", "Where")


class LimitMasks(Rewrite):
    """Constants below -1e4 that reach a Softmax → -1e4.

    A score of -3 and a mask of -65504 are infinite in float16, and a row of them has no softmax. exp(-1e4) is 0.
    Looks at constants behind Add and Where, through layout; masks that are inputs hold what the runner writes.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Limits the constants that reach one Softmax."""
        return is_op(node, "Softmax") and self._limit(graph, node.inputs[0])

    def _limit(self, graph: ir.Graph, value: ir.Value | None) -> bool:
        node = None if value is None else value.producer()
        if node is None or not is_op(node, *_TRANSPARENT):
            return False
        modified = False
        for index in range(len(node.inputs)):
            source = input_at(node, index)
            modified |= self._replace(graph, node, index) if source is not None else False
            modified |= self._limit(graph, source)
        return modified

    def _replace(self, graph: ir.Graph, node: ir.Node, index: int) -> bool:
        values = small_constant(input_at(node, index), _MASK_ELEMENTS)
        if values is None or values.dtype not in (np.float16, np.float32) or not (values < MASKED).any():
            return False
        limited = np.maximum(values, values.dtype.type(MASKED))
        node.replace_input_with(index, Builder(graph, node).constant(limited, "mask"))
        self.remark(node, f"mask values are limited to {MASKED:g}", "their sum with a score leaves float16")
        return True
