"""Cuts a deep component into a chain of parts at layer boundaries.

What crosses a cut keeps name, shape and type on both sides, so that a runtime hands one part's output buffer to the
next part as its input:
* `hidden_<n>` [1, S, hidden], the state behind the first n layers;
* `table_<i>`, what all layers read and no layer makes (cosine and sine of the positions); the first part makes it.
In a quantised graph these are the integer codes, and each part begins with their DequantizeLinear.

Graph inputs such as the mask go to every part that reads them. The KV cache of a layer (`past_…_<l>`, `new_…_<l>`)
stays as it is and belongs to the part with the layer: the runner writes new rows in place.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import onnx_ir as ir

from passes.core.errors import PassError
from passes.cut.layer_plan import WEIGHT_BYTES, Units, layer_units
from program.program import Component

PartOf = Mapping[ir.Node, int]
"""Part of each node that is in one part only."""


def split_layers(component: Component, ends: Sequence[int]) -> tuple[Component, ...]:
    """Cuts a component; no weight is read.

    Args:
        component: Stays as it is; the parts share its weights by name and by tensor.
        ends: From `plan_parts`: for each part the number of the unit after its last.

    Returns:
        Components `<name>_part_<i>`, in order of execution.

    Raises:
        PassError: The component has no layers or another number of them, or an output that no node makes.
    """
    graph = component.model.graph
    units = layer_units(graph)
    if not ends or ends[-1] != units.count:
        raise PassError(
            "the cuts are for another number of layers",
            where=f"component {component.name}",
            received=f"{list(ends)} for {units.count} units",
            remedy="plan the cuts with this component",
        )
    origins = _output_origins(component, units)
    part_of = _assign(units, ends, set(origins.values()))
    crossing = _crossing(units, part_of)
    names = _crossing_names(crossing, units)
    count = max(part_of.values()) + 1
    outputs = {value: part_of[node] for value, node in origins.items()}
    return tuple(_part(component, part_of, crossing, names, outputs, index) for index in range(count))


def _output_origins(component: Component, units: Units) -> dict[ir.Value, ir.Node]:
    """Returns for each graph output the node that decides in which part it is made."""
    found = {}
    for value in component.model.graph.outputs:
        origins = units.copied.origins(value)
        made = [node for origin in origins if (node := origin.producer()) is not None]
        if not made:
            raise PassError(
                "an output does not depend on any input that a node reads",
                where=f"component {component.name}",
                received=value.name or "",
                remedy="leave it out of the model",
            )
        found[value] = made[0]
    return found


def _assign(units: Units, ends: Sequence[int], outputs: set[ir.Node]) -> dict[ir.Node, int]:
    """Returns the part of each node.

    What precedes the layers and reads no weight moves to the first part that needs it (the index of the logits to the
    last one), also where that leaves no node in front of the layers.
    """
    part_of = {node: bisect.bisect_right(ends, unit) for node, unit in units.of_node.items()}
    for node in reversed([node for node, unit in units.of_node.items() if unit == 0]):
        readers = [part_of[reader] for value in node.outputs for reader in units.copied.readers(value)]
        weights = any(tensor.nbytes >= WEIGHT_BYTES for tensor in units.copied.constants_of(node))
        if readers and node not in outputs and not weights:
            part_of[node] = min(readers)
    numbers = {part: number for number, part in enumerate(sorted(set(part_of.values())))}
    return {node: numbers[part] for node, part in part_of.items()}


def _crossing(units: Units, part_of: PartOf) -> dict[ir.Value, set[int]]:
    """Values that other parts read, in graph order, with the parts that read them."""
    found = {}
    for node, part in part_of.items():
        for value in node.outputs:
            readers = {part_of[reader] for reader in units.copied.readers(value)} - {part}
            if readers:
                found[value] = readers
    return found


def _crossing_names(crossing: Iterable[ir.Value], units: Units) -> dict[ir.Value, str]:
    """Names by layer rather than by node, so that those of prefill and decode are equal."""
    names: dict[ir.Value, str] = {}
    count: Counter[str] = Counter()
    for value in crossing:
        producer = value.producer()
        if value.is_graph_output() or producer is None:
            continue
        unit = units.of_node[producer]
        stem = f"hidden_{unit}" if unit else "table"
        names[value] = stem if unit and not count[stem] else f"{stem}_{count[stem]}"
        count[stem] += 1
    return names


def _part(
    component: Component,
    part_of: PartOf,
    crossing: Mapping[ir.Value, set[int]],
    names: Mapping[ir.Value, str],
    part_of_output: Mapping[ir.Value, int],
    index: int,
) -> Component:
    graph = component.model.graph
    results = [value for value, part in part_of_output.items() if part == index]
    nodes = _nodes_of_part(graph, part_of, index, results)
    read = {value for node in nodes for value in node.inputs if value is not None}
    made = {value for node in nodes if node in part_of for value in node.outputs}
    inputs = [value for value, readers in crossing.items() if index in readers]
    inputs += [value for value in graph.inputs if value in read]
    outputs = [value for value in crossing if value in made and not value.is_graph_output()] + results
    view = ir.GraphView(
        inputs,
        outputs,
        nodes=nodes,
        initializers=[value for value in graph.initializers.values() if value in read],
        opset_imports=graph.opset_imports,
        name=f"{component.name}_part_{index}",
    )
    part = view.clone()
    _rename(part.inputs, [names.get(value) for value in inputs])
    _rename(part.outputs, [names.get(value) for value in outputs])
    model = ir.Model(
        part,
        ir_version=component.model.ir_version,
        producer_name=component.model.producer_name,
        producer_version=component.model.producer_version,
    )
    return Component(f"{component.name}_part_{index}", component.role, component.modality, model)


def _nodes_of_part(
    graph: ir.Graph, part_of: PartOf, index: int, results: Iterable[ir.Value]
) -> list[ir.Node]:
    """The part's nodes and the copied ones that it needs, in graph order."""
    makers = {producer for value in results if (producer := value.producer()) is not None}
    wanted = {node for node, part in part_of.items() if part == index} | makers
    pending = list(wanted)
    while pending:
        for value in pending.pop().inputs:
            producer = value.producer() if value is not None else None
            if producer is not None and producer not in part_of and producer not in wanted:
                wanted.add(producer)
                pending.append(producer)
    return [node for node in graph if node in wanted]


def _rename(values: Iterable[ir.Value], names: Iterable[str | None]) -> None:
    for value, name in zip(values, names, strict=True):
        if name is not None:
            value.name = name
