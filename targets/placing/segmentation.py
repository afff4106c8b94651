"""Cuts a component into sub-graphs that each run on one processor, in an order in which they can be chained."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.convenience import extract

from program.program import Component
from targets.contract.names import CPU
from targets.placing.coverage import Coverage

_QDQ = ("QuantizeLinear", "DequantizeLinear")


@dataclasses.dataclass(frozen=True)
class Part:
    """A sub-graph for one processor; its inputs are inputs of the component or outputs of earlier parts."""

    processor: str
    component: Component


def split_component(component: Component, coverage: Coverage, *, codes: bool = False) -> tuple[Part, ...]:
    """Returns the component itself where one processor takes all of it, else its parts `<component>_<number>`.

    Args:
        component: Static shapes; is not changed.
        coverage: A placement for every node, none of them refused.
        codes: Whether quantised values go from part to part as they are, and each part dequantises what it reads.
    """
    placements = _placements(component.model.graph, coverage)
    processors = set(placements.values())
    if len(processors) <= 1:
        return (Part(processors.pop() if processors else CPU, component),)
    groups = _groups(list(component.model.graph), placements)
    borders = [(processor, nodes, *_border(nodes, codes)) for processor, nodes in groups]
    kept = [(processor, inputs, outputs) for processor, _, inputs, outputs in borders if outputs]
    return tuple(_part(component, index, *entry) for index, entry in enumerate(kept))


def _placements(graph: ir.Graph, coverage: Coverage) -> dict[ir.Node, str]:
    placements = {node: row.placement for node, row in zip(graph, coverage.nodes, strict=True)}
    for node in reversed(list(graph)):
        # a decoded weight belongs to the layer that reads it: alone, no NPU takes it
        if node.op_type in _QDQ and all(value is None or value.const_value for value in node.inputs):
            readers = [use.node for use in node.outputs[0].uses()]
            placements[node] = placements[readers[0]] if readers else placements[node]
    return placements


def _groups(nodes: list[ir.Node], placements: dict[ir.Node, str]) -> list[tuple[str, list[ir.Node]]]:
    """Takes, again and again, every node of one processor whose inputs are there; the fewest parts that way."""
    groups: list[tuple[str, list[ir.Node]]] = []
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


def _border(nodes: Sequence[ir.Node], codes: bool) -> tuple[list[ir.Value], list[ir.Value]]:
    """What a group of nodes reads from outside and gives to it, in the order of the nodes."""
    inside = set(nodes)
    inputs: dict[ir.Value, None] = {}
    outputs: dict[ir.Value, None] = {}
    for node in nodes:
        if codes and node.op_type == "DequantizeLinear" and not _is_needed(node.outputs[0], inside):
            continue  # its readers have one of their own
        for value in node.inputs:
            if value is None or value.producer() in inside:
                continue
            given = _codes_of(value) if codes else value
            if given.const_value is None:
                inputs[given] = None
    for value in (output for node in nodes for output in node.outputs):
        if value.is_graph_output():
            outputs[value] = None
        if any(use.node not in inside for use in value.uses()):
            given = _codes_of(value) if codes else value
            if given.producer() in inside:
                outputs[given] = None
    return list(inputs), list(outputs)


def _is_needed(value: ir.Value, inside: set[ir.Node]) -> bool:
    return value.is_graph_output() or any(use.node in inside for use in value.uses())


def _codes_of(value: ir.Value) -> ir.Value:
    """What a DequantizeLinear made the value from; the value itself where none did."""
    producer = value.producer()
    if producer is None or producer.op_type != "DequantizeLinear" or producer.inputs[0] is None:
        return value
    return producer.inputs[0]


def _part(
    component: Component,
    index: int,
    processor: str,
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
) -> Part:
    graph = extract(component.model.graph, inputs, outputs)
    graph.name = f"{component.name}_{index}"
    model = ir.Model(graph, ir_version=component.model.ir_version)
    part = Component(f"{component.name}_{index}", component.role, component.modality, model)
    return Part(processor, part)
