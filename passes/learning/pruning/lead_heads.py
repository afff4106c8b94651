"""Puts heads that lie inside groups first in their weights, so that fewer of them are a prefix.

Grouped-query attention orders the channels of a query projection by key/value head, then by the query heads that share
it; a joint projection orders them by query, key and value, then by head. Sub-networks that narrow the inner factor (so
that the KV cache keeps its shape) need it to be the outer one. Weights and biases are stored in that order, and where a
projection writes or reads, a Transpose of the activations puts back the order the rest of the graph expects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Builder, is_op, required_input, static_shape
from passes.learning.pruning.dependencies import Dependencies, Group, Kind
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.products import Product
from passes.learning.pruning.tensor_slices import Indices, take
from program.program import Program

Factors = tuple[int, int, int]
"""Extents of an axis before the heads, of the heads, and after them."""


def lead_heads(program: Program, dependencies: Dependencies, groups: Iterable[Group]) -> list[Group]:
    """Moves the factor of every movable group to the front of the axes it runs through, in place.

    The program computes what it did. A group stays as it is if one of its weights is not read by a MatMul alone, or is
    also a member of another group whose heads lead.

    Args:
        program: Normalised float graphs.
        dependencies: From `analyse`; of no use afterwards where anything was moved.
        groups: Those that sub-networks may narrow.

    Returns:
        The groups that were moved.
    """
    groups = list(groups)
    taken = {
        m.name
        for g in groups
        if leads(dependencies, g)
        for m in g.members
        if _is_matrix(dependencies, m.name)
    }
    moved = []
    for group in groups:
        names = {member.name for member in group.members}
        if group.kind is not Kind.HEADS or leads(dependencies, group) or names & taken:
            continue
        products = [p for p in dependencies.products if p.weight in names]
        if all(_is_movable(program, dependencies, group, product) for product in products):
            _move(program, dependencies, group, products)
            taken |= names
            moved.append(group)
    return moved


def leads(dependencies: Dependencies, group: Group) -> bool:
    """Whether a group's channels are the first factor of every axis they run through."""
    axes = (dependencies.initializers[member.name][member.axis] for member in group.members)
    return all(axis[0] == group.dimension for axis in axes)


def _is_matrix(dependencies: Dependencies, name: str) -> bool:
    return len(dependencies.initializers[name]) > 1


def _is_movable(program: Program, dependencies: Dependencies, group: Group, product: Product) -> bool:
    """Whether a weight is the right operand of MatMuls alone, and all biases of the group belong to such."""
    graph = program.components[product.component].model.graph
    weight = graph.initializers.get(product.weight)
    if weight is None or not is_op(product.node, "MatMul") or len(tuple(weight.uses())) != 1:
        return False
    vectors = [
        m.name for m in group.members if not _is_matrix(dependencies, m.name) and m.name in graph.initializers
    ]
    biases = {
        value.name
        for other in dependencies.products
        if other.component == product.component and group.dimension in other.outputs
        for value in _bias(other.node)
    }
    return required_input(product.node, 1) is weight and set(vectors) <= biases


def _bias(node: ir.Node) -> list[ir.Value]:
    """Returns the vector that is added to a product alone, if there is one."""
    uses = tuple(node.outputs[0].uses())
    if len(uses) != 1 or not is_op(uses[0].node, "Add"):
        return []
    other = required_input(uses[0].node, 1 - uses[0].idx)
    vector = other.is_initializer() and other.shape is not None and len(other.shape) == 1
    return [other] if vector and len(tuple(other.uses())) == 1 else []


def _move(program: Program, dependencies: Dependencies, group: Group, products: Iterable[Product]) -> None:
    size = dependencies.dimensions.size
    made: dict[str, ir.TensorProtocol] = {}
    for product in products:
        graph = program.components[product.component].model.graph
        reads = group.dimension in product.inputs
        axis = product.inputs if reads else product.outputs
        factors = _factors(axis, group.dimension, size)
        order = np.arange(math.prod(factors)).reshape(factors).swapaxes(0, 1).reshape(-1)
        stored = [(product.weight, product.input_axis if reads else product.output_axis)]
        if reads:
            _permute_input(graph, product.node, factors)
        else:
            biases = _bias(product.node)
            stored += [(value.name or "", 0) for value in biases]
            last = next(iter(product.node.outputs[0].uses())).node if biases else product.node
            _permute_output(graph, last, factors)
        for name, along in stored:
            _permute_weight(graph, name, along, order, made)


def _factors(axis: Axis, dimension: int, size: Callable[[int], int]) -> Factors:
    place = axis.index(dimension)
    before, after = (math.prod(size(factor) for factor in part) for part in (axis[:place], axis[place + 1 :]))
    return before, size(dimension), after


def _permute_weight(
    graph: ir.Graph, name: str, axis: int, order: Indices, made: dict[str, ir.TensorProtocol]
) -> None:
    value = graph.initializers[name]
    if value.const_value is not None:
        if name not in made:
            made[name] = take(value.const_value, {axis: order}, name)
        value.const_value = made[name]


def _permute_input(graph: ir.Graph, node: ir.Node, factors: Factors) -> None:
    """X [..., before · heads · after] → [..., heads · before · after]."""
    x = required_input(node, 0)
    shape = static_shape(x, node)
    node.replace_input_with(0, _swapped(Builder(graph, node), x, shape, factors))


def _permute_output(graph: ir.Graph, node: ir.Node, factors: Factors) -> None:
    """Y [..., heads · before · after] → [..., before · heads · after], for all that read it."""
    y = node.outputs[0]
    shape, uses = static_shape(y, node), tuple(y.uses())
    before, heads, after = factors
    first = min((use.node for use in uses), key=list(graph).index)
    restored = _swapped(Builder(graph, first), y, shape, (heads, before, after))
    for use in uses:
        use.node.replace_input_with(use.idx, restored)


def _swapped(build: Builder, x: ir.Value, shape: tuple[int, ...], factors: Factors) -> ir.Value:
    """Swaps the first two factors of the last axis; all other axes are one, as some NPUs stop at four."""
    first, second, rest = factors
    rows = math.prod(shape[:-1])
    split = build.reshape(x, (rows, first, second, rest))
    moved = build.transpose(split, (0, 2, 1, 3), (rows, first, second, rest))
    return build.reshape(moved, shape)
