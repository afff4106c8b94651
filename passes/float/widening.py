"""What float16 would lose in the components of a program, decided for all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import onnx_ir as ir

from passes.core.errors import PassError
from passes.float.float16 import LARGEST
from passes.float.masked_values import masked_values
from passes.float.value_ranges import RangeWatcher, ValueRange
from passes.float.widen_values import is_narrow, wide_boundaries, wide_weights
from program.program import Component, Role


@dataclasses.dataclass(frozen=True)
class Widening:
    """What `WidenValues` needs for one component.

    Attributes:
        ranges: By value name.
        weights: Weights whose layers are float32 in any component: one stored copy serves all.
    """

    ranges: Mapping[str, ValueRange]
    weights: frozenset[str] = frozenset()

    def boundaries(self, component: Component) -> frozenset[str]:
        """Returns the graph inputs and outputs that stay float32.

        Only a model of one component has any: between components, and in caches, types are the program's.

        Raises:
            PassError: Something that leaves float16 goes from one component to another, or to the program's loop.
        """
        graph = component.model.graph
        found = wide_boundaries(graph, self.ranges)
        if component.role is Role.MODEL:
            return frozenset(found)
        masked = {value.name for value in masked_values(graph)}
        for name, largest in found.items():
            if largest > LARGEST and name not in masked:
                raise PassError(
                    "what a component hands on leaves the range of float16",
                    where=f"component {component.name}, {name}",
                    received=f"values up to {largest:g}, beyond {LARGEST:g}",
                    remedy='set base = "float32" in the section [precision] of the recipe',
                )
        return frozenset()


def watcher_of(component: Component) -> RangeWatcher | None:
    """Returns what observes a component's ranges; None where the graph is float16 already, or has subgraphs."""
    graph = component.model.graph
    return None if is_narrow(graph) or _has_subgraph(graph) else RangeWatcher(graph)


def widenings(
    components: Mapping[str, Component], watchers: Mapping[str, RangeWatcher]
) -> dict[str, Widening]:
    """Returns what each of the watched components keeps wide.

    Args:
        components: By name.
        watchers: By component; they have seen its calibration runs.
    """
    weights = frozenset[str]().union(
        *(wide_weights(components[name].model.graph, watcher.ranges) for name, watcher in watchers.items())
    )
    return {name: Widening(watcher.ranges, weights) for name, watcher in watchers.items()}


def _has_subgraph(graph: ir.Graph) -> bool:
    return any(
        attribute.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
        for node in graph
        for attribute in node.attributes.values()
    )
