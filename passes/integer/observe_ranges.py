"""Runs a component on calibration inputs and chooses the range of every float tensor, a chunk of tensors at a time."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Array, Feeds
from passes.errors import PassError
from passes.integer.activation_statistics import ActivationStatistics
from passes.integer.affine import IntegerType, Range
from passes.integer.range_methods import RangeMethod, needs_histogram, rounding_sqnr

CHUNK_BYTES = 128 << 20
"""Bytes of intermediate values that one run returns."""

CHUNK_TENSORS = 256
"""Tensors with histograms at a time: 128 MB."""

_DATA = "model.onnx.data"


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

    The weights are written once, to a temporary folder; each chunk of tensors is one session that maps them and that
    sees all feeds. No activation is kept beyond its run.

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
    with tempfile.TemporaryDirectory(prefix="npuc-ranges-") as folder:
        path = Path(folder) / "model.onnx"
        ir.save(model.clone(), path, external_data=_DATA, size_threshold_bytes=1 << 20)
        for names in _chunks(model):
            found |= _observe_chunk(path, names, feeds, method, kind)
    return found


def is_float(value: ir.Value | None) -> bool:
    """Tells whether a value is a float32 tensor."""
    return value is not None and value.dtype == ir.DataType.FLOAT


def _observed(arrays: list[Array], value: ir.Value, method: RangeMethod, kind: IntegerType) -> Observed:
    statistics = ActivationStatistics()
    for array in arrays:
        _update(statistics, array, value.name or "", method, kind)
    return _finish(statistics, method, kind)


def _observe_chunk(
    path: Path, names: list[str], feeds: Sequence[Feeds], method: RangeMethod, kind: IntegerType
) -> dict[str, Observed]:
    model = ir.load(path)
    produced = {value.name: value for node in model.graph for value in node.outputs}
    model.graph.outputs[:] = [produced[name] for name in names]
    chunk = path.with_name("chunk.onnx")
    ir.save(model, chunk)
    executor = OnnxExecutor(chunk)
    collected = {name: ActivationStatistics() for name in names}
    for feed in feeds:
        results = executor(feed)
        for name, statistics in collected.items():
            _update(statistics, results.pop(name), name, method, kind)
    return {name: _finish(statistics, method, kind) for name, statistics in collected.items()}


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


def _chunks(model: ir.Model) -> Iterator[list[str]]:
    """Yields names of float node outputs, at most `CHUNK_BYTES` and `CHUNK_TENSORS` each."""
    names: list[str] = []
    size = 0
    for node in model.graph:
        for value in node.outputs:
            if not is_float(value) or value.shape is None:
                continue
            nbytes = 4 * int(np.prod(value.shape.numpy(), dtype=np.int64))
            if names and (size + nbytes > CHUNK_BYTES or len(names) >= CHUNK_TENSORS):
                yield names
                names, size = [], 0
            names.append(value.name or "")
            size += nbytes
    if names:
        yield names
