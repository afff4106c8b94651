"""Bounds on the values of a graph, checked on inferred shapes before any of them is allocated or computed."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from pathlib import Path

from exporter.errors import ExportError
from exporter.files.tensor_limits import MAX_RANK
from exporter.sources.sizes.sized_graph import ELEMENT_BITS, SizedGraph, SizedValue

MAX_VALUE_BYTES = 2 << 30
"""Of one input, output or value between."""

MAX_TOTAL_BYTES = 256 << 30
"""Of all values of a graph together, as if none gave its memory to another."""

MAX_GROWN_BYTES = 1 << 30
"""Of all values that are made from constants and are far larger than those: they are computed while compiling."""

MAX_VECTOR_ELEMENTS = 1 << 24
"""Of all integer vectors together: shape inference follows their elements one by one."""

MAX_NODES = 20_000
"""Of a graph whose shapes are folded; a chain of so many was compiled and executed."""

_GROWTH = 16
"""A constant so many times larger than what it is made from is not a weight that was unpacked."""


def check_value_sizes(graph: SizedGraph, path: Path) -> None:
    """Refuses a graph whose values are too large; values of unknown shape are passed over.

    Args:
        graph: With inferred shapes.
        path: Of the file, for errors.

    Raises:
        ExportError: A value, or all of them, exceed a limit; or one is text.
    """
    made = [*(value for node in graph.nodes for value in node.outputs), *graph.nested]
    total = sum(_checked_bytes(value, path) for value in (*graph.inputs, *made))
    grown = sum(_grown_bytes(graph))
    vectors = sum(_elements(value) for value in made if _is_vector(value))
    for what, received, limit, unit in (
        ("all values of the graph together", total, MAX_TOTAL_BYTES, "bytes"),
        ("values made from constants", grown, MAX_GROWN_BYTES, "bytes"),
        ("integer vectors", vectors, MAX_VECTOR_ELEMENTS, "elements"),
    ):
        if received > limit:
            raise _too_large(f"{what} exceed {limit} {unit}", str(path), f"{received} {unit}")


def check_node_count(nodes: int, path: Path) -> None:
    """Refuses a graph with more nodes than can be lowered.

    Raises:
        ExportError: It has more than `MAX_NODES`.
    """
    if nodes > MAX_NODES:
        raise ExportError(
            f"the graph has more than {MAX_NODES} nodes",
            where=str(path),
            received=f"{nodes} nodes",
            remedy="export a smaller part of the model",
        )


def live_bytes(graph: SizedGraph) -> int:
    """Returns the largest sum of values that exist at one time: nodes run in order, values go with their last use.

    Weights are not counted, nor values of unknown shape.
    """
    weights = {value.key for value in graph.initializers}
    last = {value.key: index for index, node in enumerate(graph.nodes) for value in node.inputs}
    kept = weights | {value.key for value in (*graph.inputs, *graph.outputs)}
    live = peak = sum(_bytes(value) for value in graph.inputs if value.key not in weights)
    for index, node in enumerate(graph.nodes):
        live += sum(_bytes(value) for value in node.outputs)
        peak = max(peak, live)
        ended = {value.key: value for value in (*node.inputs, *node.outputs) if value.key not in kept}
        live -= sum(_bytes(value) for key, value in ended.items() if last.get(key, index) == index)
    return peak


def _checked_bytes(value: SizedValue, path: Path) -> int:
    where = f"{path}: value {value.name}"
    if value.dtype == "STRING":
        raise ExportError(
            "a value is text", where=where, received="STRING", remedy="leave text outside the model"
        )
    if value.shape is not None and len(value.shape) > MAX_RANK:
        raise _too_large(f"a value has more than {MAX_RANK} axes", where, str(len(value.shape)))
    size = _bytes(value)
    if size > MAX_VALUE_BYTES:
        shape = list(value.shape or ())
        raise _too_large(f"a value is larger than {MAX_VALUE_BYTES} bytes", where, f"{size} bytes, {shape}")
    return size


def _grown_bytes(graph: SizedGraph) -> Iterator[int]:
    """Follows constants through the graph: value → bytes that are stored of what it is made from."""
    stored: dict[Hashable, int] = {value.key: _bytes(value) for value in graph.initializers}
    for node in graph.nodes:
        if node.operator == "Constant":
            stored |= {value.key: _bytes(value) for value in node.outputs}
            continue
        if any(value.key not in stored for value in node.inputs):
            continue
        source = min(sum(stored[value.key] for value in node.inputs), MAX_TOTAL_BYTES)
        for value in node.outputs:
            stored[value.key] = source
            size = _bytes(value)
            yield size if size > _GROWTH * max(source, 1 << 10) else 0


def _is_vector(value: SizedValue) -> bool:
    return value.dtype in ("INT64", "INT32") and value.shape is not None and len(value.shape) == 1


def _elements(value: SizedValue) -> int:
    """0 where a size is unknown, or is none."""
    if value.shape is None or any(size is None or size < 0 for size in value.shape):
        return 0
    return math.prod(size for size in value.shape if size is not None)


def _bytes(value: SizedValue) -> int:
    return -(-_elements(value) * ELEMENT_BITS.get(value.dtype, 0) // 8)


def _too_large(what: str, where: str, received: str) -> ExportError:
    return ExportError(
        what,
        where=where,
        received=received,
        remedy="choose smaller shapes, or compute constants before exporting",
    )
