"""Cuts a component's nodes into blocks: one for each layer of the model, and what lies between them."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence

import onnx_ir as ir

from exporter.modality import SCOPE_KEY

_LAYER = re.compile(r"^.*?[^.\d][^.]*\.\d+(?=\.|$)")
"""Up to the first number: `decoder.blocks.3` of `decoder.blocks.3.attention.query`."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """Consecutive nodes.

    Attributes:
        name: `layers.3`, or `between.0` for nodes of no layer; unique in a component.
        nodes: In graph order.
    """

    name: str
    nodes: tuple[ir.Node, ...]


def cut_layers(nodes: Sequence[ir.Node]) -> list[Layer]:
    """Groups nodes in graph order into layers.

    A node without a number in its module path that stands between two nodes of one layer belongs to it. Where the
    nodes of several layers are mixed, a layer is cut into pieces `layers.3`, `layers.3.part1` and so on.

    Args:
        nodes: In topological order.
    """
    keys = _fill([layer_of(node) for node in nodes])
    layers: list[Layer] = []
    counts: dict[str, int] = {}
    position = 0
    for key, run in itertools.groupby(keys):
        length = len(list(run))
        count = counts.setdefault(key, 0)
        counts[key] += 1
        name = f"between.{count}" if not key else f"{key}.part{count}" if count else key
        layers.append(Layer(name, tuple(nodes[position : position + length])))
        position += length
    return layers


def layer_of(node: ir.Node) -> str:
    """Returns the layer a node belongs to by its module path, else by the weight it reads; empty for none."""
    weights = (value.name or "" for value in node.inputs if value is not None and value.is_initializer())
    scope = node.metadata_props.get(SCOPE_KEY) or next((name for name in weights if "/" not in name), "")
    found = _LAYER.match(scope)
    return found.group() if found else ""


def used_after(layers: Sequence[Layer], outputs: set[str]) -> list[frozenset[str]]:
    """Returns for each layer the names of values that later layers or the caller use."""
    used, result = set(outputs), []
    for layer in reversed(layers):
        result.append(frozenset(used))
        used |= {value.name or "" for node in layer.nodes for value in node.inputs if value is not None}
    return result[::-1]


def _fill(keys: list[str]) -> list[str]:
    """Gives nodes without a layer that stand between two nodes of one layer to that layer."""
    filled = list(keys)
    for key in set(keys) - {""}:
        first, last = keys.index(key), len(keys) - keys[::-1].index(key)
        if set(keys[first:last]) <= {"", key}:
            filled[first:last] = [key] * (last - first)
    return filled
