"""Places each node of a quantised graph on HVX where there is an integer kernel, else on the CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from exporter.program import Component
from targets.coverage import Coverage, NodeCoverage, Placement, operator_name
from targets.snapdragon.hexagon.coverage import hexagon_refusal
from targets.snapdragon.hexagon.importer import qdq
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.survey import survey_component

_REMEDY = "use int8 QDQ form and the operators that docs/targets/hexagon.md lists"
_QDQ = frozenset({"QuantizeLinear", "DequantizeLinear"})


def place_component(component: Component, on_cpu: Coverage) -> Coverage:
    """Decides for each node whether HVX takes it, else the CPU, else nothing.

    A QuantizeLinear belongs to what it quantises and a DequantizeLinear to what reads it, so that codes, and not
    floats, go from one processor to the other.

    Args:
        component: Static shapes, quantised to uint8 activations and int8 weights.
        on_cpu: Which nodes have a CPU kernel.
    """
    graph = component.model.graph
    alone = {node: reason for node in graph if (reason := hexagon_refusal(node)) is not None}
    refusals = survey_component(component) | alone
    for node in _follow_neighbours(graph, refusals):
        refusals.setdefault(node, "it belongs to a node on the CPU")
    rows = [_place(node, row, refusals.get(node)) for node, row in zip(graph, on_cpu.nodes, strict=True)]
    return Coverage(component.name, tuple(rows))


def _follow_neighbours(graph: ir.Graph, refusals: Mapping[ir.Node, str]) -> list[ir.Node]:
    """The QuantizeLinear and DequantizeLinear that belong to nodes which HVX refuses."""
    following: set[ir.Node] = set()

    def refused(node: ir.Node | None) -> bool:
        return node is not None and (node in refusals or node in following)

    for node in graph:
        if qdq.is_activation(node, "QuantizeLinear"):
            made = _maker(node)
            if refused(made) or (
                made is None and all(refused(reader) for reader in _computing_readers(node))
            ):
                following.add(node)
    for node in reversed(graph):
        if node.op_type == "DequantizeLinear":
            readers = _readers(node)
            source = node.inputs[0].producer() if node.inputs[0] is not None else None
            if any(refused(reader) for reader in readers[:1]) or (not readers and refused(source)):
                following.add(node)
    return [node for node in graph if node in following]


def _maker(node: ir.Node) -> ir.Node | None:
    """What computes the values a QuantizeLinear quantises, behind a DequantizeLinear the QuantizeLinear before it."""
    source = node.inputs[0].producer() if node.inputs[0] is not None else None
    if source is None or not qdq.is_activation(source, "DequantizeLinear") or source.inputs[0] is None:
        return source
    return source.inputs[0].producer()


def _readers(node: ir.Node) -> list[ir.Node]:
    return [use.node for use in node.outputs[0].uses()]


def _computing_readers(node: ir.Node) -> list[ir.Node]:
    """What computes with a QuantizeLinear's codes; itself, so that it stays, where nothing does."""
    readers = [reader for decode in _readers(node) for reader in _readers(decode)]
    return [reader for reader in readers if reader.op_type not in _QDQ] or [node]


def _place(node: ir.Node, on_cpu: NodeCoverage, refusal: str | None) -> NodeCoverage:
    if refusal is None:
        return NodeCoverage(node_name(node), operator_name(node), Placement.HVX, "integer kernel")
    if on_cpu.placement is Placement.CPU:
        return dataclasses.replace(on_cpu, reason=f"not on HVX: {refusal}", remedy=_REMEDY)
    reason = f"{refusal}; on the CPU: {on_cpu.reason}"
    return NodeCoverage(node_name(node), operator_name(node), Placement.REFUSED, reason, _REMEDY)
