"""Cuts or reorders channels of a program everywhere they run through."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.rewrite import Builder, integer, is_op
from passes.learning.pruning.dependencies import Dependencies
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.statistics import keep_layer_statistics, scale_mean
from passes.learning.pruning.tensor_slices import Indices, take
from passes.learning.pruning.tracer import Axes
from program.program import Component, Program

Kept = Mapping[int, Indices]
"""Dimension → indices that stay, in their new order."""


def cut(program: Program, dependencies: Dependencies, kept: Kept) -> None:
    """Keeps chosen channels, in place. Weights are sliced when they are written.

    The result computes what the program would if all weights of the other channels were zero: means, and the
    statistics of norms, keep their divisors.

    Args:
        program: The program that was analysed, unchanged since.
        dependencies: From `analyse`.
        kept: Channels of groups that stay; the indices of all channels in another order only reorder.

    Raises:
        PassError: A dimension cannot be cut, or an index is out of range.
    """
    _check(dependencies, kept)
    _cut_initializers(program, dependencies, kept)
    for name, component in program.components.items():
        values = dependencies.values[name]
        sizes = {dimension: len(index) for dimension, index in kept.items()}
        resized = {
            value: axes
            for value, axes in values.items()
            if any(dimension in kept for axis in axes for dimension in axis)
        }
        for value, axes in resized.items():
            value.shape = ir.Shape([_extent(dependencies, axis, sizes) for axis in axes])
        _cut_shapes(component, resized)
        _cut_statistics(component, dependencies, kept, name)


def axis_indices(dependencies: Dependencies, axis: Axis, kept: Kept) -> Indices:
    """Returns the positions along an axis that stay: every combination of its factors' kept indices."""
    extents = tuple(dependencies.dimensions.size(dimension) for dimension in axis)
    chosen = [kept.get(dimension, np.arange(extent)) for dimension, extent in zip(axis, extents, strict=True)]
    grid = np.meshgrid(*chosen, indexing="ij")
    return np.ravel_multi_index(grid, extents).reshape(-1).astype(np.int64)


def _check(dependencies: Dependencies, kept: Kept) -> None:
    names = {group.dimension: group.name for group in dependencies.groups}
    for dimension, index in kept.items():
        size = dependencies.dimensions.size(dimension)
        unique = len(np.unique(index)) == len(index)
        if dimension not in names or not unique or not len(index) or index.min() < 0 or index.max() >= size:
            raise PassError(
                "these channels cannot be kept",
                where=names.get(dimension, f"dimension {dimension}"),
                received=f"{len(index)} indices for {size} channels",
                remedy="name distinct channels of a group that `analyse` returns",
            )


def _extent(dependencies: Dependencies, axis: Axis, sizes: Mapping[int, int]) -> int:
    extent = 1
    for dimension in axis:
        extent *= sizes.get(dimension, dependencies.dimensions.size(dimension))
    return extent


def _cut_initializers(program: Program, dependencies: Dependencies, kept: Kept) -> None:
    made: dict[str, ir.TensorProtocol] = {}
    for component in program.components.values():
        for name, value in component.model.graph.initializers.items():
            axes = dependencies.initializers.get(name, ())
            chosen = _chosen(dependencies, axes, kept)
            if not chosen or value.const_value is None:
                continue
            if name not in made:
                made[name] = take(value.const_value, chosen, name)
            value.const_value, value.shape = made[name], ir.Shape(made[name].shape.numpy())


def _chosen(dependencies: Dependencies, axes: Axes, kept: Kept) -> dict[int, Indices]:
    return {
        index: axis_indices(dependencies, axis, kept)
        for index, axis in enumerate(axes)
        if any(dimension in kept for dimension in axis)
    }


def _cut_statistics(component: Component, dependencies: Dependencies, kept: Kept, name: str) -> None:
    """Keeps the divisors of means and norms over channels that were cut."""

    def share(axis: Axis) -> float:
        sizes = {dimension: len(index) for dimension, index in kept.items()}
        return _extent(dependencies, axis, sizes) / _extent(dependencies, axis, {})

    shares: dict[ir.Node, float] = {}
    for node, axis in dependencies.averages[name]:
        shares[node] = shares.get(node, 1.0) * share(axis)
    for node, kept_share in shares.items():
        if kept_share != 1.0:
            rewrite = scale_mean if is_op(node, "ReduceMean") else keep_layer_statistics
            rewrite(component.model.graph, node, kept_share)


def _cut_shapes(component: Component, resized: Mapping[ir.Value, Axes]) -> None:
    """Gives operators that spell sizes out the new ones."""
    graph = component.model.graph
    for node in tuple(graph):
        output = node.outputs[0]
        if output not in resized or output.shape is None:
            continue
        build = Builder(graph, node)
        if is_op(node, "Reshape", "Expand"):
            shape = [int(extent) for extent in output.shape.numpy()]
            node.replace_input_with(1, _sizes(build, shape))
        elif is_op(node, "Split") and len(node.inputs) > 1:
            axis = integer(node, "axis", 0)
            sizes = [int(value.shape[axis]) for value in node.outputs if value.shape is not None]  # type: ignore[arg-type]
            node.replace_input_with(1, _sizes(build, sizes))
        elif is_op(node, "Conv") and integer(node, "group", 1) > 1:
            node.attributes["group"] = ir.AttrInt64("group", int(output.shape[1]))  # type: ignore[arg-type]


def _sizes(build: Builder, sizes: list[int]) -> ir.Value:
    """Adds a list of sizes whose name tells them, as a graph may be cut more than once."""
    return build.integers(sizes, "x".join(str(size) for size in sizes))
