"""How much each channel of a group contributes, from activations and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.rewrite import is_op, required_input
from passes.learning.pruning.dependencies import Dependencies, Group
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.products import Product
from program.lazy_tensor import row_blocks
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program

Scores = npt.NDArray[np.float64]
Importance = Mapping[str, Scores]
"""Group name → a score for each of its channels, larger for those that matter more."""


def activation_norm(
    program: Program, dependencies: Dependencies, feeds: Mapping[str, Sequence[Feeds]]
) -> dict[str, Scores]:
    """Scores channels by |activation| · |weight| where they are read.

    A channel j that a weight W reads from activations X scores ‖X_j‖₂ · Σ_i |W_ij|: the score of Wanda (Sun et al.,
    arXiv 2306.11695, equation 1), summed over the weights that go with the channel. A head's score is the sum of its
    channels', a group's over all layers that read it, each scaled to sum to one.

    Args:
        program: Float graphs.
        dependencies: From `analyse`.
        feeds: Component name → inputs to observe.

    Returns:
        Scores by group name.
    """
    norms = _input_norms(program, dependencies.products, feeds)
    return {group.name: _group_scores(program, dependencies, group, norms) for group in dependencies.groups}


def reduce_to(
    scores: npt.NDArray[np.floating], axis: Axis, dimension: int, size: Callable[[int], int]
) -> Scores:
    """Sums scores along an axis of several factors to one of them.

    Args:
        scores: One for each position of the axis.
        axis: Its factors.
        dimension: The factor that stays.
        size: Extent of a factor.
    """
    split = np.asarray(scores, np.float64).reshape([size(factor) for factor in axis])
    others = tuple(index for index, factor in enumerate(axis) if factor != dimension)
    result: Scores = split.sum(axis=others)
    return result


def _group_scores(
    program: Program,
    dependencies: Dependencies,
    group: Group,
    norms: Mapping[tuple[str, str], Scores],
) -> Scores:
    total = np.zeros(group.size)
    for product in dependencies.products:
        if group.dimension not in product.inputs:
            continue
        x = required_input(product.node, 0)
        norm = norms[product.component, x.name or ""]
        weight = _weight_tensor(program, product)
        scores = norm * _absolute_sums(weight, product.input_axis)
        reduced = reduce_to(scores, product.inputs, group.dimension, dependencies.dimensions.size)
        total += reduced / max(float(reduced.sum()), np.finfo(np.float64).tiny)
    return total


def _weight_tensor(program: Program, product: Product) -> ir.TensorProtocol:
    tensor = program.components[product.component].model.graph.initializers[product.weight].const_value
    if tensor is None:
        raise ValueError(f"{product.weight} has no value")
    return tensor


def _absolute_sums(weight: ir.TensorProtocol, axis: int) -> Scores:
    """Returns Σ |w| over all axes but one, a block of rows at a time."""
    blocks = []
    for block in row_blocks(weight):
        others = tuple(index for index in range(block.ndim) if index != axis)
        blocks.append(np.abs(block.astype(np.float32)).sum(axis=others, dtype=np.float64))
    return np.concatenate(blocks) if axis == 0 else np.sum(blocks, axis=0, dtype=np.float64)


def _input_norms(
    program: Program, products: Iterable[Product], feeds: Mapping[str, Sequence[Feeds]]
) -> dict[tuple[str, str], Scores]:
    """Returns ‖x‖₂ of each channel of every product's input: (component, value name) → norms."""
    axes: dict[str, dict[str, int]] = {}
    for product in products:
        if product.weight:
            axis = 1 if is_op(product.node, "Conv") else -1
            axes.setdefault(product.component, {})[required_input(product.node, 0).name or ""] = axis
    norms = {}
    for component, wanted in axes.items():
        model = program.components[component].model
        for name, value in _observe(model, wanted, feeds.get(component, ())).items():
            norms[component, name] = np.sqrt(value)
    return norms


def _observe(model: ir.Model, axes: Mapping[str, int], feeds: Sequence[Feeds]) -> dict[str, Scores]:
    """Returns Σ x² of each channel over all feeds."""
    graph = model.graph
    inputs = {value.name for value in graph.inputs}
    constants = {name: np.array(value.const_value.numpy()) for name, value in graph.initializers.items()
                 if name in axes and value.const_value is not None}  # fmt: skip
    executor = OnnxExecutor(model, sorted(axes.keys() - inputs - constants.keys()))
    sums: dict[str, Scores] = {}
    for feed in feeds:
        values = {**constants, **feed, **executor(feed)}
        for name, axis in axes.items():
            array = np.moveaxis(np.asarray(values[name], np.float64), axis, -1)
            squares = (array.reshape(-1, array.shape[-1]) ** 2).sum(axis=0)
            sums[name] = sums.get(name, 0.0) + squares
    return sums
