"""The units of a quantised graph: operators that hand numbers to each other, with codes before and behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import onnx_ir as ir

_PAIRS = frozenset({"QuantizeLinear", "DequantizeLinear"})


def is_pair(node: ir.Node) -> bool:
    """Whether a node goes between numbers and codes."""
    return node.op_type in _PAIRS


def computing_units(graph: ir.Graph) -> list[list[ir.Node]]:
    """Groups the nodes that are joined by values which are not codes; all of a float graph is one unit.

    Args:
        graph: Sorted topologically. Its QuantizeLinear and DequantizeLinear are in no unit.
    """
    return _joined([node for node in graph if not is_pair(node)], ir.Node.predecessors)


def adjoining_units(units: Sequence[Sequence[ir.Node]]) -> list[list[ir.Node]]:
    """Joins those of some units that read the codes which another of them makes.

    Args:
        units: Sorted topologically.
    """
    return _joined([node for unit in units for node in unit], _makers)


def _makers(node: ir.Node) -> list[ir.Node]:
    """The computing nodes whose results a node reads, as numbers or as codes."""
    found, waiting = [], list(node.predecessors())
    while waiting:
        source = waiting.pop()
        if is_pair(source):
            waiting += source.predecessors()
        else:
            found.append(source)
    return found


def _joined(nodes: Iterable[ir.Node], sources: Callable[[ir.Node], Iterable[ir.Node]]) -> list[list[ir.Node]]:
    groups: dict[ir.Node, list[ir.Node]] = {}
    for node in nodes:
        group = groups[node] = [node]
        for source in sources(node):
            other = groups.get(source, group)
            if other is not group:
                other += group
                groups |= dict.fromkeys(group, other)
                group = other
    return list({id(group): group for group in groups.values()}.values())
