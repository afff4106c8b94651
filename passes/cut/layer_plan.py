"""Where a deep component is cut: its layers, what they weigh, and a balanced division into parts under a limit."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import onnx_ir as ir

from exporter.modality import SCOPE_KEY
from passes.core.errors import PassError
from passes.core.rewrite import is_op
from passes.cut.copied_nodes import CopiedNodes
from passes.integer.quantised_graph import PRODUCTS, has_integer_weight

PART_BYTES = 420 * 10**6
"""Default limit; accelerators have limits of their own."""

WEIGHT_BYTES = 64 << 10
"""Smaller constants (norm gains, shapes) keep their type and count as they are."""

_LIST_ITEM = re.compile(r"(?:^|\.)([A-Za-z_]\w*)\.(\d+)(?=\.|$)")

WeightSize = Callable[[ir.TensorProtocol], int]
"""Weight → bytes it takes in the prepared part."""

_RECURRENT = ("LSTM", "GRU", "RNN")


@dataclasses.dataclass(frozen=True)
class Units:
    """The smallest pieces a cut may separate, in order: what precedes the layers, each layer, what follows them.

    Attributes:
        of_node: Unit of each node that is in one part only.
        copied: The other nodes.
        count: Number of units: layers + 2.
    """

    of_node: dict[ir.Node, int]
    copied: CopiedNodes
    count: int


def stored_size(tensor: ir.TensorProtocol) -> int:
    """Returns the bytes of a weight as it is."""
    return tensor.nbytes


def weight_size(bits: int) -> WeightSize:
    """Returns a size function for weights of `bits` bits, from 64 KiB on; smaller tensors keep their size."""
    return lambda tensor: tensor.nbytes if tensor.nbytes < WEIGHT_BYTES else math.ceil(tensor.size * bits / 8)


def layer_units(graph: ir.Graph) -> Units:
    """Assigns every node to a unit such that values flow from lower units to higher ones only.

    A layer is an entry of the module list that has the most entries (`layers.3` in the node's scope). A node without
    one belongs to the unit it gets its inputs from, behind the last layer to what follows the layers. Nodes that each
    part has for itself (`CopiedNodes`) are left out.

    Args:
        graph: Nodes in topological order, tagged with their scope.

    Raises:
        PassError: No node comes from a list of modules.
    """
    layers, copied = _layer_of_node(graph), CopiedNodes(graph)
    last = max(layers.values()) + 1
    units: dict[ir.Node, int] = {}
    for node in graph:
        if node in copied:
            continue
        producers = [value.producer() for source in node.inputs for value in copied.origins(source)]
        floor = max((units[producer] for producer in producers if producer is not None), default=0)
        layer = layers.get(node)
        if layer is not None:
            units[node] = max(floor, layer + 1)
        else:
            units[node] = floor if floor < last else last + 1
    return Units(units, copied, last + 2)


def rounding_steps(graph: ir.Graph, *, has_modules: bool = True) -> int:
    """Returns how many times in sequence a graph adds rounding noise of the size of one layer's, at least 1.

    Each layer of the longest module list counts, and each step of a recurrent operator. Where the source does not say
    which module a node is from and no list shows in the names, each product by a constant counts instead.

    Args:
        graph: Static shapes.
        has_modules: Whether nodes carry the modules they were captured from; an ONNX file has none.
    """
    try:
        layers = len(set(_layer_of_node(graph).values()))  # a part keeps the numbers of its layers
    except PassError:
        layers = 1 if has_modules else sum(map(_multiplies_by_constant, graph))
    return max(1, layers + sum(map(_recurrent_steps, graph)))


def _multiplies_by_constant(node: ir.Node) -> bool:
    if has_integer_weight(node):
        return True
    factor = node.inputs[1] if is_op(node, *PRODUCTS) and len(node.inputs) > 1 else None
    return factor is not None and factor.const_value is not None


def _recurrent_steps(node: ir.Node) -> int:
    shape = node.inputs[0].shape if is_op(node, *_RECURRENT) and node.inputs[0] is not None else None
    return 0 if shape is None or not isinstance(shape[0], int) else shape[0]


def unit_weights(units: Units, size: WeightSize) -> list[int]:
    """Returns the bytes of the constants each unit reads; one that two units read counts in both."""
    tensors: dict[int, dict[str, ir.TensorProtocol]] = defaultdict(dict)
    for node, unit in units.of_node.items():
        for tensor in units.copied.constants_of(node):
            tensors[unit][tensor.name or ""] = tensor
    return [sum(size(tensor) for tensor in tensors[unit].values()) for unit in range(units.count)]


def divide(weights: Sequence[int], limit: int) -> tuple[int, ...]:
    """Divides a row of weights into as few parts as the limit allows, the heaviest of them as light as possible.

    Args:
        weights: Bytes of each unit.
        limit: Bytes of a part. A single unit above it makes a part of its own.

    Returns:
        For each part the number of the unit after its last.
    """
    ends = _fill(weights, limit)
    if max(weights) > limit:
        return ends
    before = tuple(itertools.accumulate(weights, initial=0))
    sums = {stop - start for start, stop in itertools.combinations(before, 2)}
    capacities = sorted(item for item in sums if max(weights) <= item <= limit)
    enough = bisect.bisect_left(
        capacities, True, key=lambda capacity: len(_fill(weights, capacity)) <= len(ends)
    )
    return _fill(weights, capacities[enough])


def _fill(weights: Sequence[int], capacity: int) -> tuple[int, ...]:
    ends: list[int] = []
    used = 0
    for index, weight in enumerate(weights):
        if used and used + weight > capacity:
            ends.append(index)
            used = 0
        used += weight
    return (*ends, len(weights))


def _layer_of_node(graph: ir.Graph) -> dict[ir.Node, int]:
    """Layer of each node that has one, counted from 0 in the module list with the most entries."""
    found: dict[str, dict[ir.Node, int]] = defaultdict(dict)
    for node in graph:
        match = _LIST_ITEM.search(node.metadata_props.get(SCOPE_KEY, ""))
        if match is not None:
            found[match[1]][node] = int(match[2])
    if not found:
        raise PassError(
            "the graph has no layers to cut between",
            where=f"graph {graph.name}",
            remedy="keep the layers of the model in a torch.nn.ModuleList, so that their nodes carry its index",
        )
    return max(found.values(), key=lambda layers: len(set(layers.values())))
