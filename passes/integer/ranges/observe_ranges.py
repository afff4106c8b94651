"""Runs a component on calibration inputs and chooses the range of every float tensor, a window at a time."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.graph_windows import run_windows
from passes.integer.affine import Range
from passes.integer.ranges.activation_statistics import ActivationStatistics
from passes.integer.ranges.range_methods import RangeMethod, needs_histogram, rounding_sqnr
from program.number_format import IntegerType
from program.program import Array, Feeds

WINDOW_BYTES = 128 << 20
"""Bytes of intermediate values that one run returns."""


@dataclasses.dataclass(frozen=True)
class Observed:
    """What calibration found out about one tensor.

    Attributes:
        range: Chosen by the method, for the type asked for.
        seen: From the least to the largest value seen.
        least_peak: Least maximum of a row (last axis).
        sqnr: Signal-to-quantisation-noise ratio of the codes in dB; infinite for 16 bits, where it is not measured.
    """

    range: Range
    seen: Range
    least_peak: float
    sqnr: float = math.inf


def observe_ranges(
    model: ir.Model, feeds: Sequence[Feeds], method: RangeMethod, kind: IntegerType
) -> dict[str, Observed]:
    """Returns ranges of all float graph inputs and node outputs.

    The graph runs once for each feed, whatever its depth; no activation is kept beyond the window that reads it last.

    Args:
        model: A float32 graph with static shapes.
        feeds: Inputs of each run.
        method: Chooses a range.
        kind: Type of the codes it is chosen for.

    Raises:
        PassError: There are no feeds, or an activation is not finite.
    """
    if not feeds:
        raise PassError("no request reaches this component", remedy="add calibration requests that use it")
    found = {}
    for value in model.graph.inputs:
        if is_float(value):
            found[value.name or ""] = _observed(
                [feed[value.name or ""] for feed in feeds], value, method, kind
            )
    floats = {value.name or "" for node in model.graph for value in node.outputs if is_float(value)}
    for runs in run_windows(model, feeds, WINDOW_BYTES):
        statistics: dict[str, ActivationStatistics] = defaultdict(ActivationStatistics)
        for results in runs:
            for name in floats & results.keys():
                _update(statistics[name], results[name], name, method, kind)
        found |= {name: _finish(entry, method, kind) for name, entry in statistics.items()}
    return found


def is_float(value: ir.Value | None) -> bool:
    """Tells whether a value is a float32 tensor."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def _observed(arrays: list[Array], value: ir.Value, method: RangeMethod, kind: IntegerType) -> Observed:
    statistics = ActivationStatistics()
    for array in arrays:
        _update(statistics, array, value.name or "", method, kind)
    return _finish(statistics, method, kind)


def _update(
    statistics: ActivationStatistics, array: Array, name: str, method: RangeMethod, kind: IntegerType
) -> None:
    try:
        statistics.update(array, keep_histogram=needs_histogram(method, kind))
    except ValueError as error:
        raise PassError(str(error), where=name, remedy="check the checkpoint in float32") from error


def _finish(statistics: ActivationStatistics, method: RangeMethod, kind: IntegerType) -> Observed:
    seen = Range(statistics.low, statistics.high)
    chosen = method(statistics, kind)
    ratio = rounding_sqnr(statistics, chosen, kind) if statistics.counts is not None else math.inf
    return Observed(chosen, seen, statistics.least_peak, ratio)
