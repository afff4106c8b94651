"""Bounds on the values of a graph, checked on inferred shapes before any of them is allocated or computed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from exporter.errors import ExportError

MAX_VALUE_BYTES = 2 << 30
"""Of one input, output or value between."""

MAX_TOTAL_BYTES = 256 << 30
"""Of all values of a graph together, as if none gave its memory to another."""

MAX_GROWN_BYTES = 1 << 30
"""Of all values that are made from constants and are far larger than those: they are computed while compiling."""

MAX_VECTOR_ELEMENTS = 1 << 24
"""Of all integer vectors together: shape inference follows their elements one by one."""

MAX_RANK = 64

MAX_NODES = 20_000
"""Of a graph whose shapes are folded; a chain of so many was compiled and executed."""

_GROWTH = 16
"""A constant so many times larger than what it is made from is not a weight that was unpacked."""


def check_value_sizes(graph: ir.Graph, path: Path) -> None:
    """Refuses a graph whose values are too large; values of unknown shape are passed over.

    Args:
        graph: With inferred shapes.
        path: Of the file, for errors.

    Raises:
        ExportError: A value, or all of them, exceed a limit; or one is text.
    """
    total = sum(_value_bytes(value, path) for value in graph.inputs)
    for node in graph.all_nodes():
        total += sum(_value_bytes(value, path) for value in node.outputs)
    grown = sum(_grown_bytes(graph))
    vectors = sum(
        _elements(value) for node in graph.all_nodes() for value in node.outputs if _is_vector(value)
    )
    for what, received, limit, unit in (
        ("all values of the graph together", total, MAX_TOTAL_BYTES, "bytes"),
        ("values made from constants", grown, MAX_GROWN_BYTES, "bytes"),
        ("integer vectors", vectors, MAX_VECTOR_ELEMENTS, "elements"),
    ):
        if received > limit:
            raise _too_large(f"{what} exceed {limit} {unit}", str(path), f"{received} {unit}")


def check_node_count(graph: ir.Graph, path: Path) -> None:
    """Refuses a graph with more nodes than can be lowered.

    Raises:
        ExportError: It has more than `MAX_NODES`.
    """
    if len(graph) > MAX_NODES:
        raise ExportError(
            f"the graph has more than {MAX_NODES} nodes",
            where=str(path),
            received=f"{len(graph)} nodes",
            remedy="export a smaller part of the model",
        )


def _value_bytes(value: ir.Value, path: Path) -> int:
    where = f"{path}: value {value.name}"
    if value.dtype == ir.DataType.STRING:
        raise ExportError(
            "a value is text", where=where, received="STRING", remedy="leave text outside the model"
        )
    if value.shape is not None and len(value.shape) > MAX_RANK:
        raise _too_large(f"a value has more than {MAX_RANK} axes", where, str(len(value.shape)))
    size = _bytes(value)
    if size > MAX_VALUE_BYTES:
        raise _too_large(
            f"a value is larger than {MAX_VALUE_BYTES} bytes", where, f"{size} bytes, {value.shape}"
        )
    return size


def _grown_bytes(graph: ir.Graph) -> Iterator[int]:
    """Follows constants through the graph: value → bytes that are stored of what it is made from."""
    stored = {value: _bytes(value) for value in graph.initializers.values()}
    for node in graph:
        if node.op_type == "Constant":
            stored |= {value: _bytes(value) for value in node.outputs}
            continue
        inputs = [value for value in node.inputs if value is not None]
        if any(value not in stored for value in inputs):
            continue
        source = min(sum(stored[value] for value in inputs), MAX_TOTAL_BYTES)
        for value in node.outputs:
            stored[value] = source
            size = _bytes(value)
            yield size if size > _GROWTH * max(source, 1 << 10) else 0


def _is_vector(value: ir.Value) -> bool:
    integer = value.dtype in (ir.DataType.INT64, ir.DataType.INT32)
    return integer and value.shape is not None and len(value.shape) == 1


def _elements(value: ir.Value) -> int:
    """0 where a size is unknown, or is none."""
    if value.shape is None or not all(isinstance(size, int) and size >= 0 for size in value.shape):
        return 0
    return math.prod(size for size in value.shape if isinstance(size, int))


def _bytes(value: ir.Value) -> int:
    if value.dtype in (None, ir.DataType.UNDEFINED, ir.DataType.STRING):
        return 0
    return -(-_elements(value) * value.dtype.bitwidth // 8)


def _too_large(what: str, where: str, received: str) -> ExportError:
    return ExportError(
        what,
        where=where,
        received=received,
        remedy="choose smaller shapes, or compute constants before exporting",
    )
