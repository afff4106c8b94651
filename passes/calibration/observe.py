"""Runs a component on recorded inputs and collects statistics of the activations asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Feeds
from passes.calibration.statistics import Statistics
from passes.errors import PassError


def observe(
    model: ir.Model, feeds: Iterable[Feeds], tensors: Collection[str], examples: Collection[str] = ()
) -> dict[str, Statistics]:
    """Streams statistics; no activation is kept beyond its run.

    Args:
        model: The graph, before quantisation.
        feeds: Inputs of each run, consumed once.
        tensors: Names of graph inputs or intermediate values.
        examples: Those of them whose first value is kept whole.

    Returns:
        Statistics by tensor name, sorted.

    Raises:
        PassError: There were no feeds, or an activation is not finite.
    """
    inputs = {value.name for value in model.graph.inputs}
    names = sorted(set(tensors))
    executor = OnnxExecutor(model, [name for name in names if name not in inputs])
    collected = {name: Statistics() for name in names}
    has_run = False
    for feed in feeds:
        has_run = True
        results = executor(feed)
        for name, statistics in collected.items():
            values = feed[name] if name in inputs else results[name]
            try:
                statistics.update(values, name in examples)
            except ValueError as error:
                raise PassError(str(error), where=name, remedy="check the checkpoint in float32") from error
    if not has_run:
        raise PassError("no request reaches this component", remedy="add calibration requests that use it")
    return collected
