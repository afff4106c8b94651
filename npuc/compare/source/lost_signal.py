"""Finds the node at which a final graph loses what the float graph computes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir as ir

from npuc.compare.joined_outputs import joined_outputs
from program.agreement import energies
from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds
from program.quantities import NO_JOINTS

CHUNK_BYTES = 1 << 28
"""Intermediate values looked at in one run of both graphs; float32."""


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
    ratios: dict[str, float] = {}
    for names in _chunks(before, after):
        ratios |= _measure(before, after, names, feeds)
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


def _chunks(before: ir.Model, after: ir.Model) -> Iterator[list[str]]:
    """Yields names of float values that both graphs compute, some megabytes at a time."""
    known = {output.name: output for node in before.graph for output in node.outputs if _is_float(output)}
    chunk: list[str] = []
    size = 0
    for node in after.graph:
        for output in node.outputs:
            other = known.get(output.name)
            if other is None or not _is_float(output) or other.shape != output.shape:
                continue
            nbytes = 4 * int(np.prod(other.shape.numpy())) if other.shape is not None else 0
            if chunk and size + nbytes > CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
            chunk.append(output.name or "")
            size += nbytes
    if chunk:
        yield chunk


def _is_float(value: ir.Value) -> bool:
    return value.dtype in (ir.DataType.FLOAT, ir.DataType.FLOAT16) and value.shape is not None


def _measure(before: ir.Model, after: ir.Model, names: list[str], feeds: Feeds) -> dict[str, float]:
    expected, actual = _run(before, names, feeds), _run(after, names, feeds)
    joints = joined_outputs(before)
    return {
        name: min(
            energy.ratio for energy in energies(expected[name], actual[name], joints.get(name, NO_JOINTS))
        )
        for name in names
    }


def _run(model: ir.Model, names: list[str], feeds: Feeds) -> Mapping[str, Array]:
    inputs = [value.name for value in model.graph.inputs]
    typed = {value.name: value.dtype.numpy() for value in model.graph.inputs if value.dtype is not None}
    given = {name: feeds[name].astype(typed[name], copy=False) for name in inputs if name is not None}
    return OnnxExecutor(model, names)(given)
