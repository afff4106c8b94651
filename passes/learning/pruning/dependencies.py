"""Finds which channels of a program must be cut together, whatever the model (after DepGraph, arXiv 2301.12900).

Axes are compared where operators force them to agree: the output channels of `gate` and `up` meet in a product and are
contracted by `down`; a residual Add makes every layer's output one set of channels. Unlike DepGraph's pairwise
dependencies between layers, equal axes share one symbolic dimension, and a Reshape splits dimensions, so that
attention heads, and the heads inside a key/value group, are dimensions of their own.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

import passes.learning.pruning.arithmetic_rules
import passes.learning.pruning.layout_rules  # noqa: F401 - both register rules
from passes.core.rewrite import is_op
from passes.learning.pruning.dimensions import Axis, Dimensions
from passes.learning.pruning.products import Product, find_products
from passes.learning.pruning.separate_constants import separate_constants
from passes.learning.pruning.tracer import Axes, Tracer, leaves_of
from program.program import CACHE_PREFIX, NEW_PREFIX, Component, Program

Tie = Sequence[tuple[str, str]]
"""(component, input or output) of tensors whose last axes the runner treats as one."""


class Kind(enum.StrEnum):
    """What the channels of a group are."""

    FFN = "ffn"
    """Hidden channels of a feed-forward layer."""
    HEADS = "heads"
    """Attention heads: whole key/value groups, or the query heads inside every group."""
    HEAD_CHANNELS = "head_channels"
    """Channels inside a head."""
    CONV = "conv"
    """Channels between two convolutions."""
    HIDDEN = "hidden"
    """The residual stream: embedding, norms, the ends of every layer, the head."""


@dataclasses.dataclass(frozen=True)
class Member:
    """An initializer that a group's channels run through.

    Attributes:
        name: Global name.
        axis: Which of its axes.
    """

    name: str
    axis: int


@dataclasses.dataclass(frozen=True)
class Group:
    """Channels that can only be cut together.

    Attributes:
        name: The first weight that makes them and its axis, and the factor where the axis has several.
        kind: What they are.
        dimension: Identifier in `Dependencies.dimensions`.
        size: Number of channels (heads).
        members: Every initializer they run through, sorted.
        cached: Whether the KV cache has them too.
        interface: Whether components hand them to each other.
    """

    name: str
    kind: Kind
    dimension: int
    size: int
    members: tuple[Member, ...]
    cached: bool
    interface: bool


@dataclasses.dataclass(frozen=True)
class Dependencies:
    """What `analyse` found.

    Attributes:
        dimensions: Sizes of all dimensions.
        values: Component name → axes of its values, in the end.
        initializers: Axes by initializer name, in the end.
        averages: Component name → (mean or norm, averaged axis).
        products: Matrix products and convolutions, in the order of execution.
        groups: What can be cut, in the order of execution.
    """

    dimensions: Dimensions
    values: Mapping[str, Mapping[ir.Value, Axes]]
    initializers: Mapping[str, Axes]
    averages: Mapping[str, Sequence[tuple[ir.Node, Axis]]]
    products: tuple[Product, ...]
    groups: tuple[Group, ...]


def analyse(program: Program, ties: Iterable[Tie] = ()) -> Dependencies:
    """Finds the groups of a program.

    Outputs of one component and inputs of another of the same name are one tensor, as are `past_…` and `new_…` of
    the KV cache but for their row axis. Every other input and output keeps its shape, unless `ties` names it.

    Args:
        program: Normalised, perhaps quantised. Its graphs only change by `separate_constants`.
        ties: Tensors whose last axes are one, where the runner puts them together under other names.

    Returns:
        Groups and everything needed to cut them. It refers to the program's values: analyse again after a change.
    """
    tracer, averages = Tracer(), {}
    for name, component in program.components.items():
        separate_constants(component)
        before = len(tracer.averages)
        for node in component.model.graph:
            tracer.trace(node)
        averages[name] = tracer.averages[before:]
    interface = _link_interfaces(tracer, program, ties)
    dimensions = tracer.dimensions
    values = {
        name: {value: _final(dimensions, tracer.axes(value)) for value in _values(component)}
        for name, component in program.components.items()
    }
    initializers = leaves_of(tracer, tracer.initializers)
    products = tuple(find_products(program, values, initializers))
    return Dependencies(
        dimensions,
        values,
        initializers,
        {name: [(node, dimensions.leaves(axis)) for node, axis in nodes] for name, nodes in averages.items()},
        products,
        tuple(_groups(dimensions, initializers, products, set(_leaves(dimensions, interface)))),
    )


def _values(component: Component) -> Iterable[ir.Value]:
    yield from component.model.graph.inputs
    for node in component.model.graph:
        yield from (value for value in node.outputs if value.uses() or value.is_graph_output())


def _final(dimensions: Dimensions, axes: Axes) -> Axes:
    return tuple(dimensions.leaves(axis) for axis in axes)


def _leaves(dimensions: Dimensions, axes: Iterable[Axis]) -> Iterable[int]:
    for axis in axes:
        yield from dimensions.leaves(axis)


def _link_interfaces(tracer: Tracer, program: Program, ties: Iterable[Tie]) -> list[Axis]:
    """Unifies what components hand to each other and fixes what only the outside sees; returns linked axes."""
    tensors: dict[str, list[tuple[str, bool, ir.Value]]] = {}
    for name, component in program.components.items():
        graph = component.model.graph
        for made, values in ((False, graph.inputs), (True, graph.outputs)):
            for value in values:
                key = (value.name or "").replace(NEW_PREFIX, CACHE_PREFIX, 1)
                tensors.setdefault(key, []).append((name, made, value))
    tied = [[_tied_value(program, *end) for end in tie] for tie in ties]
    linked = [axis for ends in tied for axis in _unify_ends(tracer, [tracer.axes(v)[-1:] for v in ends])]
    tied_values = {value for ends in tied for value in ends}
    for name, ends in tensors.items():
        axes = [tracer.axes(value) for _, _, value in ends]
        if name.startswith(CACHE_PREFIX):
            _link_cache(tracer, axes)
        elif len({made for _, made, _ in ends}) == 2:
            linked += _unify_ends(tracer, axes)
        else:
            for value, tensor in zip((value for _, _, value in ends), axes, strict=True):
                _fix_outside(tracer, name, tensor[:-1] if value in tied_values else tensor)
    return linked


def _tied_value(program: Program, component: str, name: str) -> ir.Value:
    graph = program.components[component].model.graph
    return next(value for value in (*graph.inputs, *graph.outputs) if value.name == name)


def _unify_ends(tracer: Tracer, ends: Sequence[Axes]) -> list[Axis]:
    for other in ends[1:]:
        for first, second in zip(ends[0], other, strict=True):
            if first and second:
                tracer.dimensions.unify(first, second, "components split a tensor they share differently")
    return [axis for axes in ends for axis in axes]


def _link_cache(tracer: Tracer, ends: Sequence[Axes]) -> None:
    for axes in ends:
        tracer.dimensions.fix(axes[2], "rows of the KV cache")
        for axis in (axes[1], axes[3]):
            tracer.dimensions.mark_cached(axis)
    for index in (1, 3):
        _unify_ends(tracer, [(axes[index],) for axes in ends])


def _fix_outside(tracer: Tracer, name: str, axes: Axes) -> None:
    for axis in axes:
        tracer.dimensions.fix(axis, f"{name} is an input or output of the model")


def _groups(
    dimensions: Dimensions,
    initializers: Mapping[str, Axes],
    products: Sequence[Product],
    interface: set[int],
) -> Iterable[Group]:
    """Yields the dimensions that one weight makes and another one contracts."""
    members: dict[int, list[Member]] = {}
    for name, axes in sorted(initializers.items()):
        for index, axis in enumerate(axes):
            for dimension in dict.fromkeys(axis):
                members.setdefault(dimension, []).append(Member(name, index))
    consumed = {dimension for product in products for dimension in product.inputs}
    seen: set[int] = set()
    for product in products:
        for position, dimension in enumerate(product.outputs):
            if dimension in seen or dimension not in consumed or dimensions.fixed(dimension):
                continue
            seen.add(dimension)
            factor = f".{position}" if len(product.outputs) > 1 else ""
            yield Group(
                f"{product.weight}{factor}",
                _kind(dimension, products),
                dimension,
                dimensions.size(dimension),
                tuple(members[dimension]),
                dimensions.cached(dimension),
                dimension in interface,
            )


def _kind(dimension: int, products: Sequence[Product]) -> Kind:
    """Tells what channels are from the layers that make and contract them."""
    makers = [product for product in products if dimension in product.outputs]
    readers = [product for product in products if dimension in product.inputs]
    axes = [product.outputs for product in makers if len(product.outputs) > 1]
    if any(axis[-1] != dimension for axis in axes):
        return Kind.HEADS
    if len(axes) == len(makers):
        return Kind.HEAD_CHANNELS
    last_made: dict[str, int] = {}
    for product in makers:
        last_made[product.component] = max(product.position, last_made.get(product.component, 0))
    if any(reader.position < last_made.get(reader.component, -1) for reader in readers):
        return Kind.HIDDEN  # a layer reads the channels before another one adds to them
    return Kind.CONV if any(is_op(product.node, "Conv") for product in readers) else Kind.FFN
