"""Runs a component on recorded inputs and collects statistics of the activations asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.graph_windows import run_windows
from passes.float.calibration.statistics import Statistics
from passes.float.value_ranges import WINDOW_BYTES, RangeWatcher
from program.onnx_executor import OnnxExecutor
from program.program import Array, Feeds


def observe(
    model: ir.Model,
    feeds: Iterable[Feeds],
    tensors: Collection[str],
    examples: Collection[str] = (),
    watcher: RangeWatcher | None = None,
) -> dict[str, Statistics]:
    """Streams statistics; no activation is kept beyond its run.

    Args:
        model: The graph, before quantisation.
        feeds: Inputs of each run, consumed once.
        tensors: Names of graph inputs or intermediate values.
        examples: Those of them whose first value is kept whole.
        watcher: Is shown every value of the graph, which then runs a window of nodes at a time; what the next windows
            read is kept.

    Returns:
        Statistics by tensor name, sorted.

    Raises:
        PassError: There were no feeds, or an activation is not finite.
    """
    inputs = {value.name or "" for value in model.graph.inputs}
    names = sorted(set(tensors))
    collected = {name: Statistics() for name in names}
    has_run = False
    for sample, values in _runs(model, feeds, inputs, names, watcher is not None):
        has_run = True
        for name in values.keys() & collected.keys():
            try:
                collected[name].update(values[name], name in examples)
            except ValueError as error:
                raise PassError(str(error), where=name, remedy="check the checkpoint in float32") from error
        if watcher is not None:
            watcher.see(sample, values)
    if not has_run:
        raise PassError("no request reaches this component", remedy="add calibration requests that use it")
    return collected


def _runs(
    model: ir.Model, feeds: Iterable[Feeds], inputs: Collection[str], names: Sequence[str], everything: bool
) -> Iterator[tuple[int, Mapping[str, Array]]]:
    """Yields the number of each run with its inputs and results, all of them or the ones named, in any portions."""
    if everything:
        samples = list(feeds)
        for number, feed in enumerate(samples):
            yield number, {name: feed[name] for name in inputs}
        for runs in run_windows(model, samples, WINDOW_BYTES):
            yield from enumerate(runs)
        return
    executor = OnnxExecutor(model, [name for name in names if name not in inputs])
    for number, feed in enumerate(feeds):
        yield number, {name: feed[name] for name in inputs} | executor(feed)
