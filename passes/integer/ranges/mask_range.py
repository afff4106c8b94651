"""The range of scores and masks in front of a softmax: what its result can show, and no more."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

from passes.core.rewrite import is_op
from passes.integer.integer_constant import tensor_range
from passes.integer.layout import LayoutGroups, data_inputs
from passes.integer.ranges.observe_ranges import Observed
from passes.integer.ranges.range_methods import HEADROOM
from program.number_format import IntegerType

MASK_VALUE = -1e3
"""Values this far below 0 only ever hide a score."""


def softmax_floors(
    graph: ir.Graph, groups: LayoutGroups, observed: Mapping[str, Observed], kind: IntegerType
) -> dict[ir.Value, float]:
    """Returns the least value worth representing, for each tensor that leads into a softmax alone.

    Of a row with n scores and the maximum p, scores below p - ln(n · 2^bits) have together less than half a step of
    the result. They may saturate there, and so may a mask: one of -1e4 would otherwise take all codes for itself.

    Args:
        graph: The float graph.
        groups: Of the graph.
        observed: By tensor name.
        kind: Type of the activations; its bits are the softmax's.

    Returns:
        Value (graph inputs and initializers included) → floor below 0.
    """
    floors: dict[ir.Value, float] = {}
    for node in graph:
        scores = node.inputs[0] if is_op(node, "Softmax") else None
        if scores is None or (scores.name or "") not in observed or scores.shape is None:
            continue
        if not all(is_op(consumer, "Softmax") for consumer in groups.consumers(scores)):
            continue
        peak = observed[scores.name or ""].least_peak
        row = int(scores.shape.numpy()[-1])
        span = math.log(row) + math.log(2.0) * _bits(kind)
        if math.isfinite(peak):
            _lower(floors, scores, min(0.0, peak - HEADROOM * span))
            for source in groups.sources(scores):
                _lower_masks(floors, source, observed, floors[scores])
    return floors


def _lower_masks(
    floors: dict[ir.Value, float], node: ir.Node, observed: Mapping[str, Observed], floor: float
) -> None:
    """Gives the masks that a sum adds the least value that takes every score to the floor."""
    if not is_op(node, "Add"):
        return
    operands = [value for value in node.inputs if value is not None]
    for mask, other in (operands, operands[::-1]):
        if _least(mask, observed) <= MASK_VALUE:
            _lower_chain(floors, mask, observed, floor - HEADROOM * max(0.0, _largest(other, observed)))


def _lower_chain(
    floors: dict[ir.Value, float], mask: ir.Value, observed: Mapping[str, Observed], floor: float
) -> None:
    """Goes back to where the mask is made: sums, selections and layout operators."""
    if _least(mask, observed) > MASK_VALUE:
        return
    _lower(floors, mask, floor)
    producer = mask.producer()
    if producer is not None and (data_inputs(producer) or is_op(producer, "Add", "Where", "Min")):
        for value in producer.inputs:
            if value is not None and value.dtype == ir.DataType.FLOAT:
                _lower_chain(floors, value, observed, floor)


def _lower(floors: dict[ir.Value, float], value: ir.Value, floor: float) -> None:
    floors[value] = min(floors.get(value, 0.0), floor)


def _least(value: ir.Value, observed: Mapping[str, Observed]) -> float:
    if value.is_initializer() and value.const_value is not None:
        return tensor_range(value.const_value, value.name or "").low
    return observed[value.name or ""].seen.low if value.name in observed else 0.0


def _largest(value: ir.Value, observed: Mapping[str, Observed]) -> float:
    if value.is_initializer() and value.const_value is not None:
        return tensor_range(value.const_value, value.name or "").high
    return observed[value.name or ""].seen.high if value.name in observed else 0.0


def _bits(kind: IntegerType) -> int:
    return 8 * kind.numpy.itemsize
