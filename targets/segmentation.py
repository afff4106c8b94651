"""Cuts a component into sub-graphs that each run on one processor, in an order in which they can be chained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.convenience import extract

from exporter.program import Component
from targets.coverage import Coverage, Placement

_QDQ = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class Part:
    """A sub-graph for one processor; its inputs are inputs of the component or outputs of earlier parts."""

    processor: Placement
    component: Component


def split_component(component: Component, coverage: Coverage) -> tuple[Part, ...]:
    """Returns the component itself where one processor takes all of it, else its parts `<component>_<number>`.

    Args:
        component: Static shapes; is not changed.
        coverage: A placement for every node, none of them refused.
    """
    placements = _placements(component.model.graph, coverage)
    processors = set(placements.values())
    if len(processors) <= 1:
        return (Part(processors.pop() if processors else Placement.CPU, component),)
    groups = _groups(list(component.model.graph), placements)
    return tuple(_part(component, index, processor, nodes) for index, (processor, nodes) in enumerate(groups))


def _placements(graph: ir.Graph, coverage: Coverage) -> dict[ir.Node, Placement]:
    placements = {node: row.placement for node, row in zip(graph, coverage.nodes, strict=True)}
    for node in reversed(list(graph)):
        # a decoded weight belongs to the layer that reads it: alone, no NPU takes it
        if node.op_type in _QDQ and all(value is None or value.const_value for value in node.inputs):
            readers = [use.node for use in node.outputs[0].uses()]
            placements[node] = placements[readers[0]] if readers else placements[node]
    return placements


def _groups(
    nodes: list[ir.Node], placements: dict[ir.Node, Placement]
) -> list[tuple[Placement, list[ir.Node]]]:
    """Takes, again and again, every node of one processor whose inputs are there; the fewest parts that way."""
    groups: list[tuple[Placement, list[ir.Node]]] = []
    done: set[ir.Node] = set()
    while nodes:
        processor = placements[nodes[0]]
        taken: list[ir.Node] = []
        for node in nodes:
            if placements[node] is processor and all(source in done for source in node.predecessors()):
                taken.append(node)
                done.add(node)
        groups.append((processor, taken))
        nodes = [node for node in nodes if node not in done]
    return groups


def _part(component: Component, index: int, processor: Placement, nodes: Sequence[ir.Node]) -> Part:
    inside = set(nodes)
    inputs: dict[ir.Value, None] = {}
    for node in nodes:
        for value in node.inputs:
            if value is not None and value.const_value is None and value.producer() not in inside:
                inputs[value] = None
    outputs = [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(use.node not in inside for use in value.uses())
    ]
    graph = extract(component.model.graph, list(inputs), outputs)
    graph.name = f"{component.name}_{index}"
    model = ir.Model(graph, ir_version=component.model.ir_version)
    part = Component(f"{component.name}_{index}", component.role, component.modality, model)
    return Part(processor, part)
