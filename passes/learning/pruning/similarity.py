"""How little a layer changes its input: those that change it least are pruned first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from passes.learning.pruning.residual import Branch, residual_branches
from program.onnx_executor import OnnxExecutor
from program.program import Array, Component, Feeds, Program


def block_influence(program: Program, feeds: Mapping[str, Sequence[Feeds]]) -> dict[str, float]:
    """Returns 1 - E[cos(input, output)] of every layer (ShortGPT, Men et al., arXiv 2403.03853, equation 1).

    Args:
        program: Its components.
        feeds: Component name → inputs to observe.

    Returns:
        Layer → influence, over all components that have the layer; in the order of execution.
    """
    cosines: dict[str, list[float]] = {}
    for name, component in program.components.items():
        layers = _layers(component)
        for layer, values in _observe(component, layers, feeds.get(name, ())).items():
            cosines.setdefault(layer, []).extend(values)
    return {layer: 1.0 - float(np.mean(values)) for layer, values in cosines.items()}


def _layers(component: Component) -> dict[str, list[Branch]]:
    layers: dict[str, list[Branch]] = {}
    for branch in residual_branches(component):
        layers.setdefault(branch.layer, []).append(branch)
    return layers


def _observe(
    component: Component, layers: Mapping[str, Sequence[Branch]], feeds: Sequence[Feeds]
) -> dict[str, list[float]]:
    ends = {
        layer: (branches[0].input.name or "", branches[-1].output.name or "")
        for layer, branches in layers.items()
    }
    graph = component.model.graph
    computed = {value.name for node in graph for value in node.outputs}
    constants = {name: value.const_value for name, value in graph.initializers.items()}
    executor = OnnxExecutor(
        component.model, sorted({name for pair in ends.values() for name in pair if name in computed})
    )
    cosines: dict[str, list[float]] = {layer: [] for layer in ends}
    for feed in feeds:
        values = {**feed, **executor(feed)}
        for layer, (first, last) in ends.items():
            constant = constants.get(first)
            x = values[first] if constant is None else np.array(constant.numpy())
            cosines[layer] += _cosines(x, values[last])
    return {layer: found for layer, found in cosines.items() if found}


def _cosines(x: Array, y: Array) -> list[float]:
    """Cosine of every token's vectors; pictures [n, channels, height, width] have one for each pixel."""
    axis = 1 if x.ndim == 4 else -1
    first, second = (np.moveaxis(np.asarray(array, np.float64), axis, -1) for array in (x, y))
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    cosine = (first * second).sum(-1) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return [float(value) for value in cosine.reshape(-1)]
