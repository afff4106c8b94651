"""Which rows of a table an integer input can name: without that, its lowest and highest values are not known."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

_PASSES_ON = frozenset(
    {"Add", "Cast", "Expand", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze", "Where"}
)
"""Operators behind which an index is still one; exporters write `Where(i < 0, i + n, i)` for a negative index."""


def index_ranges(graph: ir.Graph) -> dict[str, tuple[int, int]]:
    """Returns the lowest and the highest index of each integer input that picks rows with Gather.

    Args:
        graph: Static shapes.

    Returns:
        Input name → (0, rows - 1), of the smallest table that it indexes.
    """
    ranges = {}
    for value in graph.inputs:
        rows = list(_rows(value, set())) if value.dtype is not None and value.dtype.is_integer() else []
        if rows:
            ranges[value.name or ""] = (0, min(rows) - 1)
    return ranges


def _rows(value: ir.Value, seen: set[ir.Value]) -> Iterator[int]:
    seen.add(value)
    for use in value.uses():
        node = use.node
        if node.op_type == "Gather" and use.idx == 1:
            table = node.inputs[0].shape if node.inputs[0] is not None else None
            rows = table[node.attributes.get_int("axis", 0)] if table is not None and len(table) else None
            if isinstance(rows, int) and rows > 0:
                yield rows
        elif node.op_type in _PASSES_ON:
            for output in node.outputs:
                if output not in seen:
                    yield from _rows(output, seen)
