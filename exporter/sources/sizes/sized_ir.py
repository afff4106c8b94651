"""The same view of a graph that has been read, as `sized_graph` has of one in a file."""

from __future__ import annotations

import onnx_ir as ir

from exporter.sources.sizes.sized_graph import SizedGraph, SizedNode, SizedValue


def sized_ir(graph: ir.Graph) -> SizedGraph:
    """Looks at a graph."""
    own = {id(node) for node in graph}
    return SizedGraph(
        _all(graph.inputs),
        _all(graph.initializers.values()),
        tuple(SizedNode(node.op_type, _all(node.inputs), _all(node.outputs)) for node in graph),
        tuple(_value(value) for node in graph.all_nodes() if id(node) not in own for value in node.outputs),
        _all(graph.outputs),
    )


def _all(values: object) -> tuple[SizedValue, ...]:
    return tuple(_value(value) for value in values if value is not None)  # type: ignore[attr-defined]


def _value(value: ir.Value) -> SizedValue:
    dtype = "" if value.dtype in (None, ir.DataType.UNDEFINED) else value.dtype.name
    shape = None
    if value.shape is not None:
        shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return SizedValue(value, value.name or "", dtype, shape)
