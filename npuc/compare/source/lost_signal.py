"""Finds the node at which a final graph loses what the float graph computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import onnx_ir as ir

from npuc.compare.joined_outputs import joined_outputs
from passes.core.graph_windows import run_windows
from program.agreement import energies
from program.program import Array, Feeds
from program.quantities import NO_JOINTS

WINDOW_BYTES = 1 << 28
"""Values of one window of a graph."""


def lost_signal(before: ir.Model, after: ir.Model, feeds: Feeds, least: float) -> str:
    """Compares all values that two graphs have in common, in the order in which they are computed.

    Args:
        before: The graph that is right.
        after: The same with other number formats.
        feeds: A sample, in the element types of `before`.
        least: Ratio, dB, below which the signal counts as lost.

    Returns:
        The first node whose output is below it, in words, with the ratio of its output and of what it reads; of none
        is, the one with the least. Empty where the graphs have no values in common.
    """
    ratios = _measure(before, after, feeds)
    nodes = [node for node in before.graph if any((output.name or "") in ratios for output in node.outputs)]
    if not nodes:
        return ""
    lost = next((node for node in nodes if _of(node, ratios) < least), None)
    return _describe(lost or min(nodes, key=lambda node: _of(node, ratios)), ratios)


def _of(node: ir.Node, ratios: Mapping[str, float]) -> float:
    return min(ratios[output.name or ""] for output in node.outputs if (output.name or "") in ratios)


def _describe(node: ir.Node, ratios: Mapping[str, float]) -> str:
    ratio = _of(node, ratios)
    if ratio == -math.inf:
        return f"node {node.name or node.op_type} ({node.op_type}), whose values are not finite any more"
    names = [value.name or "" for value in node.inputs if value is not None]
    read = [ratios[name] for name in names if name in ratios]
    behind = f", it reads {min(read):.1f} dB" if read and min(read) < math.inf else ""
    return f"node {node.name or node.op_type} ({node.op_type}): {ratio:.1f} dB{behind}"


def _measure(before: ir.Model, after: ir.Model, feeds: Feeds) -> dict[str, float]:
    """Ratio of each float value that both graphs compute, in dB; of both, some windows of values are held at a time."""
    made = {output.name: output for node in before.graph for output in node.outputs if _is_float(output)}
    outputs = [output for node in after.graph for output in node.outputs if _is_float(output)]
    shared = {
        output.name
        for output in outputs
        if (other := made.get(output.name)) is not None and other.shape == output.shape
    }
    joints = joined_outputs(before)
    expected: dict[str, Array] = {}
    ratios: dict[str, float] = {}
    pending = _values(before, feeds)
    for name, actual in _values(after, feeds):
        if name not in shared:
            continue
        while name not in expected and (found := next(pending, None)) is not None:
            if found[0] in shared:
                expected[found[0]] = found[1]
        if name in expected:
            parts = energies(expected.pop(name), actual, joints.get(name, NO_JOINTS))
            ratios[name] = min(energy.ratio for energy in parts)
    return ratios


def _values(model: ir.Model, feeds: Feeds) -> Iterator[tuple[str, Array]]:
    """Yields what the nodes of a graph make, in order."""
    typed = {value.name: value.dtype.numpy() for value in model.graph.inputs if value.dtype is not None}
    given = {name: feeds[name].astype(dtype, copy=False) for name, dtype in typed.items() if name is not None}
    for window in run_windows(model, [given], WINDOW_BYTES):
        for results in window:
            yield from results.items()


def _is_float(value: ir.Value) -> bool:
    return value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16) and value.shape is not None
