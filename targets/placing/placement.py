"""Places each node of a component on the first processor of a preference list that takes it, else on the CPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import onnx_ir as ir

from program.program import Component
from targets.contract.accelerator import Accelerator
from targets.contract.names import CPU, REFUSED
from targets.placing.coverage import Coverage, NodeCoverage, Refusal
from targets.placing.estimate import operations
from targets.placing.units import adjoining_units, computing_units, is_pair

RefusedNodes = Mapping[str, Collection[str]]
"""Processor → names of nodes."""

_REFUSED = Refusal("its compiler refuses the node", "decompose it into standard operators")


def place_component(
    component: Component,
    accelerators: Sequence[Accelerator],
    on_cpu: Coverage,
    refused: RefusedNodes | None = None,
) -> Coverage:
    """Decides where each node runs.

    A unit of a quantised graph goes to the first accelerator that takes all of it; where none does, each of its nodes
    goes to the first that takes that. Accelerators behind the first get no run that is too small for a call of its own.

    Args:
        component: Static shapes.
        accelerators: Of the device, the preferred one first.
        on_cpu: Which nodes have a CPU kernel.
        refused: Processor → names of nodes that its compiler has refused, whatever its rules say.
    """
    placer = _Placer(component, accelerators, refused or {})
    rows = zip(component.model.graph, on_cpu.nodes, strict=True)
    return Coverage(component.name, tuple(placer.row(node, row) for node, row in rows))


class _Placer:
    def __init__(
        self, component: Component, accelerators: Sequence[Accelerator], refused: RefusedNodes
    ) -> None:
        self._component = component
        self._accelerators = accelerators
        self._refused = refused
        self._refusals: dict[str, dict[ir.Node, Refusal]] = {}
        self._places: dict[ir.Node, Accelerator | None] = {}
        units = computing_units(component.model.graph)
        for accelerator in accelerators:
            units = self._offer(accelerator, units)
        self._places |= {node: self._first(node) for unit in units for node in unit}
        self._place_pairs(component.model.graph)

    def row(self, node: ir.Node, on_cpu: NodeCoverage) -> NodeCoverage:
        """The decision on a node, with what the processors before its own say."""
        place = self._places[node]
        end = len(self._accelerators) if place is None else self._accelerators.index(place)
        skipped = [a.name for a in self._accelerators[:end]]
        refusals = {name: found for name in skipped if (found := self._refusals[name].get(node)) is not None}
        reasons = [f"not on {name.upper()}: {refusal.reason}" for name, refusal in refusals.items()]
        if skipped and not reasons:
            reasons = [f"it belongs to a node on {'the CPU' if place is None else place.name.upper()}"]
        remedy = next((refusal.remedy for refusal in refusals.values() if refusal.remedy), "")
        if place is not None:
            reason, placement = "; ".join([place.reason, *reasons]), place.name
        elif on_cpu.placement == CPU:
            reason, placement = "; ".join(reasons) or on_cpu.reason, CPU
        else:
            reason, placement = "; ".join([*reasons, f"on the CPU: {on_cpu.reason}"]), REFUSED
            remedy = remedy or on_cpu.remedy
        return dataclasses.replace(on_cpu, placement=placement, reason=reason, remedy=remedy)

    def _offer(self, accelerator: Accelerator, units: list[list[ir.Node]]) -> list[list[ir.Node]]:
        """Gives an accelerator the units that it takes whole; returns the others."""
        is_first = accelerator is self._accelerators[0]
        pairs = [node for node in self._component.model.graph if is_pair(node)]
        asked = [*pairs, *(node for unit in units for node in unit)]
        refusals = dict(accelerator.refusals(self._component, asked)) if units or is_first else {}
        names = self._refused.get(accelerator.name, ())
        refusals |= {node: _REFUSED for node in asked if node.name in names}
        self._refusals[accelerator.name] = refusals
        whole = [unit for unit in units if not any(node in refusals for node in unit)]
        if not is_first:
            refusals |= _too_small(accelerator, whole)
        self._places |= {node: accelerator for unit in whole for node in unit if node not in refusals}
        return [unit for unit in units if unit[0] not in self._places]

    def _first(self, node: ir.Node) -> Accelerator | None:
        """The first accelerator that takes a node by itself, without the codes around it."""
        taking = (
            a for a in self._accelerators if node not in self._refusals[a.name] and not a.exchanges_codes
        )
        return next(taking, None)

    def _place_pairs(self, graph: ir.Graph) -> None:
        """Puts pairs with the nodes beside them where processors exchange codes, else where they are taken."""
        codes = any(place is not None and place.exchanges_codes for place in self._places.values())
        pairs = [node for node in graph if is_pair(node)]
        # what a DequantizeLinear belongs to may be a QuantizeLinear, never the other way round
        for node in sorted(pairs, key=lambda pair: pair.op_type, reverse=True):
            neighbours = [n for n in _neighbours(node) if n in self._places] if codes else []
            self._places[node] = self._beside(node, neighbours) if neighbours else self._first(node)

    def _beside(self, node: ir.Node, neighbours: Sequence[ir.Node]) -> Accelerator | None:
        place = min((self._places[n] for n in neighbours), key=self._rank)
        refused = place is not None and node in self._refusals[place.name]
        return self._first(node) if refused else place

    def _rank(self, place: Accelerator | None) -> int:
        return len(self._accelerators) if place is None else self._accelerators.index(place)


def _too_small(accelerator: Accelerator, units: list[list[ir.Node]]) -> dict[ir.Node, Refusal]:
    """Refuses the runs of units that take the CPU less time than a call of the accelerator."""
    found: dict[ir.Node, Refusal] = {}
    for run in adjoining_units(units):
        count = sum(map(operations, run))
        if count < accelerator.least_operations:
            reason = f"a run of {count:,} operations is not worth a call of its own"
            found |= dict.fromkeys(run, Refusal(f"{reason}, which takes {accelerator.least_operations:,}"))
    return found


def _neighbours(node: ir.Node) -> list[ir.Node]:
    """What a pair belongs to: a QuantizeLinear to what makes its numbers, a DequantizeLinear to what reads them."""
    sources, readers = list(node.predecessors()), list(node.successors())
    if node.op_type == "DequantizeLinear":
        return readers[:1] or sources
    makers = [
        maker for source in sources for maker in (source.predecessors() if is_pair(source) else [source])
    ]
    return makers or [reader for decode in readers for reader in decode.successors()]
