"""Places a whole component on HVX, or tells node by node why not."""

from __future__ import annotations

import onnx_ir as ir

from exporter.program import Component
from targets.coverage import Coverage, NodeCoverage, Placement, operator_name
from targets.device import Device
from targets.errors import TargetError
from targets.snapdragon.hexagon.coverage import hexagon_refusal
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.processor import DEVICE

_TARGET = "snapdragon"
_REMEDY = "use int8 QDQ form and the operators that docs/targets/hexagon.md lists, or leave --hvx out"


def place_component(component: Component, device: Device) -> Coverage:
    """Decides for each node of a quantised graph whether an integer kernel of HVX takes it.

    Args:
        component: Static shapes, in the precision of the source.
        device: A Snapdragon whose Hexagon is at least `DEVICE`.

    Raises:
        TargetError: The device has no such Hexagon, or the nodes are taken one by one but not together.
    """
    if device.target != _TARGET or not _is_recent(device.npu.architecture):
        raise TargetError(
            f"the device has no Hexagon vector units that run code for {DEVICE.version}",
            where=device.id,
            received=f"{device.soc.name}, NPU {device.npu.architecture}",
            remedy=f"name a Snapdragon with Hexagon {DEVICE.version} or later (see `npuc devices`)",
        )
    coverage = Coverage(component.name, tuple(_place_node(node) for node in component.model.graph))
    if not coverage.refused:
        import_integer_program(component)  # finds what no node shows alone, such as the groups of a Conv
    return coverage


def _is_recent(architecture: str) -> bool:
    version = architecture.removeprefix("v")
    return version.isdecimal() and int(version) >= int(DEVICE.version.removeprefix("v"))


def _place_node(node: ir.Node) -> NodeCoverage:
    refusal = hexagon_refusal(node)
    name, operator = node_name(node), operator_name(node)
    if refusal is None:
        return NodeCoverage(name, operator, Placement.HVX, "integer kernel")
    return NodeCoverage(name, operator, Placement.REFUSED, refusal, _REMEDY)
