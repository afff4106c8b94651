"""Cuts a program's decoder into parts that an NPU can hold; prefill and decode at the same layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from passes.core.errors import PassError
from passes.cut.layer_plan import PART_BYTES, WeightSize, divide, layer_units, stored_size, unit_weights
from passes.cut.split_layers import split_layers
from program.program import Component, Program, Role
from program.remark import Remark


@dataclasses.dataclass(frozen=True)
class Chain:
    """The parts of one component.

    Attributes:
        component: Name of the component that was cut.
        parts: Names of its parts in the program, in order of execution.
        outputs: Names of its outputs, in order.
    """

    component: str
    parts: tuple[str, ...]
    outputs: tuple[str, ...]


def split_program(
    program: Program, limit: int = PART_BYTES, size: WeightSize = stored_size
) -> tuple[list[Chain], list[Remark]]:
    """Replaces prefill and decode by their parts, in place, where their weights exceed the limit.

    Args:
        program: No weight of it is read.
        limit: Bytes of weights of one part. A layer or an LM head above it makes a part of its own.
        size: Bytes of a weight once it is prepared.

    Returns:
        A chain for each component that was cut, and a remark for each part.

    Raises:
        PassError: A decoder has no layers, or prefill and decode have not equally many.
    """
    decoders = [item for item in program.components.values() if item.role in (Role.PREFILL, Role.DECODE)]
    ends = plan_parts(decoders, limit, size)
    if len(ends) < 2:
        return [], []
    chains: list[Chain] = []
    remarks: list[Remark] = []
    components: dict[str, Component] = {}
    for name, component in program.components.items():
        if component not in decoders:
            components[name] = component
            continue
        parts = {part.name: part for part in split_layers(component, ends)}
        components |= parts
        chains.append(Chain(name, tuple(parts), tuple(spec.name for spec in component.outputs)))
        remarks += [_remark(part, limit, size) for part in parts.values()]
    program.components = components
    return chains, remarks


def plan_parts(
    components: Sequence[Component], limit: int = PART_BYTES, size: WeightSize = stored_size
) -> tuple[int, ...]:
    """Chooses the cuts that captures of the same layers share.

    Args:
        components: Such as prefill and decode.
        limit: Bytes of weights of one part.
        size: Bytes of a weight once it is prepared.

    Returns:
        For each part the number of the unit after its last, as `split_layers` takes it; empty for no components.

    Raises:
        PassError: A component has no layers, or they differ in number.
    """
    weights = [unit_weights(layer_units(component.model.graph), size) for component in components]
    if len({len(row) for row in weights}) > 1:
        counts = (f"{item.name}: {len(row) - 2}" for item, row in zip(components, weights, strict=True))
        raise PassError(
            "components that are to be cut at the same layers have different numbers of layers",
            received=", ".join(counts),
            remedy="cut them one by one",
        )
    return divide([max(column) for column in zip(*weights, strict=True)], limit) if weights else ()


def part_bytes(component: Component, size: WeightSize = stored_size) -> int:
    """Returns the bytes of a component's constants once they are prepared."""
    tensors = (value.const_value for value in component.model.graph.initializers.values())
    return sum(size(tensor) for tensor in tensors if tensor is not None)


def _remark(part: Component, limit: int, size: WeightSize) -> Remark:
    weight = part_bytes(part, size)
    if weight <= limit:
        what, why = "became a part", "its weights stay below the limit of a compiled model"
    else:
        what, why = (
            "became a part above the limit",
            "one layer or LM head is larger; fewer bits would make it fit",
        )
    numbers = {"weight_bytes": float(weight), "limit_bytes": float(limit)}
    return Remark("split_program", part.name, part.modality.value, what, why, numbers)
