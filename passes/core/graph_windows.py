"""Runs a graph a window of nodes at a time, each window on all samples, so that every value is computed once and seen.

To look at all intermediate values of a deep graph by asking for some of them at a time, the whole graph would have to
run once for each request. Here a window returns all of its values; what later windows read is kept, the rest dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir

from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds

WINDOW_NODES = 256
"""Nodes of a window; bounds what a caller keeps for each value of one."""

_UNREADABLE = frozenset(
    {ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E4M3FNUZ, ir.DataType.FLOAT8E5M2, ir.DataType.FLOAT8E5M2FNUZ}
)
"""Element types that ONNX Runtime has no arrays of."""


@dataclasses.dataclass(frozen=True)
class Window:
    """Consecutive nodes as a graph.

    Attributes:
        model: Its inputs are what its nodes read and none of them makes; its outputs are all they make but FP8 codes.
        last_uses: Values that no later window reads.
    """

    model: ir.Model
    last_uses: frozenset[str]


def run_windows(
    model: ir.Model, samples: Sequence[Feeds], limit: int
) -> Iterator[Iterator[Mapping[str, Array]]]:
    """Yields for each window the node outputs of each sample.

    What is held at a time: the values of one window for one sample, and for each sample what later windows read.

    Args:
        model: A graph with static shapes.
        samples: Inputs of each run.
        limit: Bytes of the values of a window; a node whose outputs exceed it is a window of its own.

    Yields:
        Iterators, each to be read to its end before the next one.
    """
    known = [dict(sample) for sample in samples]
    for window in cut_windows(model, limit):
        yield _run(window, known)


def _run(window: Window, known: Sequence[dict[str, Array]]) -> Iterator[Mapping[str, Array]]:
    executor = OnnxExecutor(window.model)
    for values in known:
        results = executor(values)
        yield results
        values |= results
        for name in window.last_uses & values.keys():
            del values[name]


def cut_windows(model: ir.Model, limit: int) -> Iterator[Window]:
    """Yields the nodes of a graph in order, as graphs that share its weights.

    Args:
        model: Stays as it is.
        limit: Bytes of the values of a window.
    """
    groups = _groups(model.graph, limit)
    last_use = {
        value: index
        for index, nodes in enumerate(groups)
        for node in nodes
        for value in (*node.inputs, *node.outputs)
        if value is not None and not value.is_initializer()
    }
    for index, nodes in enumerate(groups):
        ended = frozenset(value.name or "" for value, last in last_use.items() if last == index)
        yield Window(_graph_of(model, nodes), ended)


def _groups(graph: ir.Graph, limit: int) -> list[list[ir.Node]]:
    groups: list[list[ir.Node]] = []
    used, codes = 0, 0
    for node in graph:
        size = sum(_nbytes(value) for value in node.outputs)
        if not groups or (not codes and (used + size > limit or len(groups[-1]) >= WINDOW_NODES)):
            groups.append([])
            used = 0
        # codes stay in the window that makes them
        codes += sum(len(value.uses()) for value in node.outputs if value.dtype in _UNREADABLE)
        codes -= sum(_is_made_code(value) for value in node.inputs)
        groups[-1].append(node)
        used += size
    return groups


def _is_made_code(value: ir.Value | None) -> bool:
    return value is not None and value.dtype in _UNREADABLE and value.producer() is not None


def _nbytes(value: ir.Value) -> int:
    if value.dtype is None or value.shape is None or not value.shape.is_static():
        return 0
    size = 1
    for dimension in value.shape.numpy():
        size *= int(dimension)
    return int(size * value.dtype.itemsize)


def _graph_of(model: ir.Model, nodes: Sequence[ir.Node]) -> ir.Model:
    made = [value for node in nodes for value in node.outputs if value.name]
    readable = [value for value in made if value.dtype not in _UNREADABLE]
    read = dict.fromkeys(value for node in nodes for value in node.inputs if value is not None)
    outside = [value for value in read if value not in set(made)]
    view = ir.GraphView(
        [value for value in outside if not value.is_initializer()],
        readable,
        nodes=nodes,
        initializers=[value for value in outside if value.is_initializer()],
        opset_imports=model.graph.opset_imports,
        name=model.graph.name,
    )
    return ir.Model(view.clone(), ir_version=model.ir_version)
