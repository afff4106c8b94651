"""Keeps in float32 what float16 would lose: values beyond its range, and sums that cancel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx_ir as ir

from passes.core.graph_pass import GraphPass
from passes.core.properties import SHAPES
from passes.core.rewrite import COMPUTE_KEY, is_op, modality_of, small_constant
from passes.float.float16 import FLOATS, LARGEST, SMALLEST_NORMAL, largest_finite
from passes.float.masked_values import score_values
from passes.float.precision import weight_of
from passes.float.value_ranges import SUMS, ValueRange
from program.remark import Remark

RANGE_LIMIT = LARGEST / 4
"""Values seen beyond it are kept wide: samples are few, and other inputs may well be four times as large."""

CANCELLATION_LIMIT = 16.0
"""Times an operand's row may be larger than that of its sum: rounding an operand to the 11 bits of float16 leaves 66 dB
at least, of which a ratio of 16 takes 24; 42 dB are a little less than what a float16 graph is held to as a whole."""

_CONSTANT_ELEMENTS = 1 << 16

_SELECTS = frozenset(
    {"Clip", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Max", "Min", "Where", "Cast"}
)
"""Operators that a constant clamped to ±65504 does no harm to."""

_MERGES = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


class WidenValues(GraphPass):
    """Tags nodes with `npuc.compute = float32`, for `ConvertFloat16`.

    * The producer and the consumers of a value whose magnitude was seen beyond `RANGE_LIMIT`, or which was never a
      normal float16 number: it goes from one to the others in float32.
    * The consumers of a constant beyond ±65504, except of masks and limits.
    * A sum that cancels, and the elementwise operators, reductions and layout its operands come through, up to the
      products before them.

    Args:
        ranges: From a `RangeWatcher` on the same graph.
        weights: Weights whose layers are to be float32 because they are in another component.

    Attributes:
        remarks: One for each value that is kept wide.
    """

    needs = (SHAPES,)

    def __init__(self, ranges: Mapping[str, ValueRange], weights: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._ranges = ranges
        self._weights = weights

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Tags the nodes of one graph; one that is float16 already is left as it is."""
        if is_narrow(model.graph):
            return ir.passes.PassResult(model, False)
        tagged: set[ir.Node] = set()
        for node, remark in _decisions(model.graph, self._ranges):
            if node not in tagged:
                tagged.add(node)
                self.remarks.append(remark)
        tagged |= {node for node in model.graph if _weight_name(node) in self._weights}
        for node in tagged:
            node.metadata_props[COMPUTE_KEY] = "float32"
        return ir.passes.PassResult(model, bool(tagged))


def is_narrow(graph: ir.Graph) -> bool:
    """Tells whether a graph was captured in float16."""
    return any(value.dtype == ir.DataType.FLOAT16 for value in (*graph.inputs, *graph.initializers.values()))


def wide_weights(graph: ir.Graph, ranges: Mapping[str, ValueRange]) -> frozenset[str]:
    """Returns the weights of the layers that `WidenValues` will tag, so that other components treat them alike."""
    if is_narrow(graph):
        return frozenset()
    return frozenset(_weight_name(node) for node, _ in _decisions(graph, ranges)) - {""}


def wide_boundaries(graph: ir.Graph, ranges: Mapping[str, ValueRange]) -> dict[str, float]:
    """Returns the graph inputs and outputs that float16 does not hold, with the largest magnitude seen."""
    names = [value.name or "" for value in (*graph.inputs, *graph.outputs)]
    return {name: ranges[name].top for name in names if name in ranges and _leaves(ranges[name])}


def _decisions(graph: ir.Graph, ranges: Mapping[str, ValueRange]) -> Iterator[tuple[ir.Node, Remark]]:
    for value in (*graph.inputs, *(value for node in graph for value in node.outputs)):
        found = ranges.get(value.name or "")
        if found is not None and _leaves(found):
            yield from _around(value, found)
    for node in graph:
        found = ranges.get(node.outputs[0].name or "") if is_op(node, *SUMS) else None
        if found is not None and found.cancelling > CANCELLATION_LIMIT:
            yield from _behind(node, found.cancelling)
    yield from _beside_constants(graph)


def _leaves(found: ValueRange) -> bool:
    return found.top > RANGE_LIMIT or 0.0 < found.largest < SMALLEST_NORMAL


def _around(value: ir.Value, found: ValueRange) -> Iterator[tuple[ir.Node, Remark]]:
    """Yields what makes and what reads a value."""
    if found.top > RANGE_LIMIT:
        why = f"{value.name} leaves the range of float16, a quarter of it being left to other inputs"
    else:
        why = f"{value.name} is below the normal numbers of float16"
    producer = value.producer()
    nodes = dict.fromkeys([*([] if producer is None else [producer]), *(use.node for use in value.uses())])
    for node in nodes:
        yield node, _remark(node, why, {"largest": found.top})


def _behind(total: ir.Node, ratio: float) -> Iterator[tuple[ir.Node, Remark]]:
    """Yields a sum and what its operands come through."""
    why = f"{total.outputs[0].name} is the small difference of large values, which float16 loses"
    waiting, seen = [total], {total}
    while waiting:
        node = waiting.pop()
        yield node, _remark(node, why, {"operand_to_result": ratio})
        for value in node.inputs:
            producer = None if value is None or value.dtype not in FLOATS else value.producer()
            if producer is not None and producer not in seen and producer.op_type not in _MERGES:
                seen.add(producer)
                waiting.append(producer)


def _beside_constants(graph: ir.Graph) -> Iterator[tuple[ir.Node, Remark]]:
    scores = score_values(graph)
    for value in graph.initializers.values():
        if value.dtype not in FLOATS or value in scores:
            continue
        nodes = [
            use.node
            for use in value.uses()
            if use.node.op_type not in _SELECTS and not scores.intersection(use.node.outputs)
        ]
        array = small_constant(value, _CONSTANT_ELEMENTS) if nodes else None
        if array is None:
            continue
        largest = largest_finite(array)
        if largest > LARGEST:
            for node in nodes:
                yield node, _remark(node, f"the constant {value.name} leaves float16", {"largest": largest})


def _remark(node: ir.Node, why: str, numbers: Mapping[str, float]) -> Remark:
    name = node.name or node.op_type
    return Remark(WidenValues.__name__, name, modality_of(node), "computes in float32", why, numbers)


def _weight_name(node: ir.Node) -> str:
    weight = weight_of(node)
    return "" if weight is None else weight.name or ""
