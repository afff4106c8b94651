"""Finds the values that masks reach: their large negative elements stand for minus infinity."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import input_at, is_op, small_constant
from passes.float.float16 import FLOATS, LARGEST

_MASK_ELEMENTS = 1 << 22

_CARRIES = frozenset(
    {
        "Add",
        "Cast",
        "Concat",
        "Expand",
        "Identity",
        "Reshape",
        "Slice",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
"""Operators through which a mask goes on as one."""


def masked_values(graph: ir.Graph) -> set[ir.Value]:
    """Returns constants with elements below -65504, and no large positive ones, and all that such an element reaches.

    A scalar of that kind as a factor counts, too: (1 - mask) · -1e9.
    """
    found = {value for value in graph.initializers.values() if _is_mask(value)}
    for node in graph:
        factor = is_op(node, "Mul") and any(_is_scalar(value) and value in found for value in node.inputs)
        carried = is_op(node, *_CARRIES) and any(value in found for value in node.inputs)
        if factor or carried or (is_op(node, "Sub") and input_at(node, 0) in found):
            found.update(node.outputs)
    return found


def score_values(graph: ir.Graph) -> set[ir.Value]:
    """Returns the values that only a softmax reads, as one operator or as Exp(x - max(x)), directly or behind masks."""
    found: set[ir.Value] = set()
    for node in reversed(graph):
        for value in node.inputs:
            if value is not None and value not in found and not value.is_graph_output():
                uses = tuple(value.uses())
                if uses and all(_is_score(use.node, use.idx, found) for use in uses):
                    found.add(value)
    return found


def _is_score(node: ir.Node, index: int, scores: set[ir.Value]) -> bool:
    if is_op(node, "Softmax", "Exp", "ReduceMax"):
        return True
    if is_op(node, "Sub") and index == 1:
        return False
    return is_op(node, "Sub", *_CARRIES) and node.outputs[0] in scores


def _is_mask(value: ir.Value) -> bool:
    readers = (*_CARRIES, "Mul", "Sub")
    if value.dtype not in FLOATS or not any(is_op(use.node, *readers) for use in value.uses()):
        return False  # weights of layers are not read
    array = small_constant(value, _MASK_ELEMENTS)
    if array is None or not array.size:
        return False
    wide = np.asarray(array, np.float32)
    return bool(wide.min() < -LARGEST) and bool(wide.max() <= LARGEST)


def _is_scalar(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None and value.const_value.size == 1
