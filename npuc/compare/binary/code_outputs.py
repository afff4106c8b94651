"""Codes that a quantised segment returns, as the numbers they stand for.

A segment hands codes to the next one. Compared as they are, their zero point would count as signal, and beside them
the float outputs of the same segment, thousands of times smaller, would not count at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_ir as ir

from program.program import Array, Executor, Feeds

_MOVES_CODES = frozenset(
    {"Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice", "Split", "Squeeze", "Tile",
     "Transpose", "Unsqueeze"}
)  # fmt: skip
"""Operators whose output has the scale and zero point of their first input."""


def code_decoder(graph: ir.Model) -> Callable[[Executor], Executor]:
    """Returns what wraps executors of a segment so that they return numbers where they returned codes.

    Args:
        graph: The segment's reference graph, which says what the codes stand for.
    """
    rules = _output_rules(graph)
    return lambda executor: lambda feeds: _decode(executor(feeds), rules)


def _output_rules(model: ir.Model) -> dict[str, tuple[float, int]]:
    """Scale and zero point of each graph output that is made of codes."""
    found = {}
    for value in model.graph.outputs:
        producer = value.producer()
        while producer is not None and producer.op_type in _MOVES_CODES and producer.inputs[0] is not None:
            producer = producer.inputs[0].producer()
        if producer is not None and producer.op_type == "QuantizeLinear" and _is_integer(value):
            scale, zero_point = _constant(producer, 1, 1.0), _constant(producer, 2, 0.0)
            found[value.name or ""] = (scale, int(zero_point))
    return found


def _is_integer(value: ir.Value) -> bool:
    return value.dtype is not None and value.dtype.is_integer()


def _constant(node: ir.Node, index: int, default: float) -> float:
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None or value.const_value is None:
        return default
    return float(np.asarray(value.const_value.numpy()).reshape(-1)[0])


def _decode(outputs: Feeds, rules: Mapping[str, tuple[float, int]]) -> dict[str, Array]:
    return {
        name: (array.astype(np.float64) - rules[name][1]) * rules[name][0] if name in rules else array
        for name, array in outputs.items()
    }
