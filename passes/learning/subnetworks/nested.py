"""Nested sub-networks of one program: channels in order of importance, so that every sub-network is a prefix.

As in Once-for-All (Cai et al., arXiv 1908.09791) and MatFormer (Devvrit et al., arXiv 2310.07707), a smaller network
is the first channels of a larger one and has no weights of its own. Channels are sorted once; function and size of the
full network stay. A sub-network's graph then names the same bytes of the weights file, only fewer of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import shared_initializer
from passes.learning.pruning.cut import cut
from passes.learning.pruning.dependencies import Dependencies, Group, analyse
from passes.learning.pruning.importance import Importance
from passes.learning.pruning.lead_heads import leads
from passes.learning.pruning.plan import Loss, PlanOptions, operations, plan_by_loss, plan_widths, prunable
from passes.learning.pruning.prefix_layout import LEAST_BYTES, lead_with
from passes.learning.pruning.products import VIEW
from program.program import Array, Component, Program
from program.remark import Remark


@dataclasses.dataclass(frozen=True)
class Subnetwork:
    """One nested sub-network.

    Attributes:
        name: As the recipe has it.
        widths: Group name → channels, its first ones, that are left; empty for the full network.
        share: Of the full network's multiply-accumulates, one call of each component.
        vectors: Initializer → gains or biases (float32) it has instead of the full network's, as many.
    """

    name: str
    widths: Mapping[str, int]
    share: float
    vectors: Mapping[str, Array] = dataclasses.field(default_factory=dict)


def nested_groups(dependencies: Dependencies, options: PlanOptions) -> list[Group]:
    """Returns the groups that sub-networks may narrow.

    Their channels must be the first factor of every axis they run through (`lead_heads` sees to it for heads), and a
    weight is narrowed along one axis only: otherwise a prefix would not be contiguous. Where two groups share a weight,
    the one with more operations wins.

    Args:
        dependencies: From `analyse`.
        options: Kinds of groups, and whether the KV cache stays valid when the sub-network is switched.
    """
    chosen: list[Group] = []
    taken: set[str] = set()
    candidates = [group for group in prunable(dependencies, options) if leads(dependencies, group)]
    for group in sorted(candidates, key=lambda one: -_operations_of(dependencies, one)):
        matrices = {m.name for m in group.members if len(dependencies.initializers[m.name]) > 1}
        if not matrices & taken:
            taken |= matrices
            chosen.append(group)
    order = {group.name: index for index, group in enumerate(dependencies.groups)}
    return sorted(chosen, key=lambda group: order[group.name])


def order_channels(
    program: Program, dependencies: Dependencies, groups: Sequence[Group], importance: Importance
) -> Dependencies:
    """Sorts the channels of groups, the most important first, in place; the program computes what it did.

    Returns:
        The dependencies of the program as it is now.
    """
    kept = {group.dimension: np.argsort(-importance[group.name], kind="stable") for group in groups}
    cut(program, dependencies, kept)
    return analyse(program)


def plan_subnetworks(
    dependencies: Dependencies,
    groups: Sequence[Group],
    loss: Importance | Loss,
    shares: Mapping[str, float],
    options: PlanOptions,
) -> list[Subnetwork]:
    """Chooses the widths of every sub-network by what they cost per operation.

    Args:
        dependencies: From `analyse`.
        groups: From `nested_groups`.
        loss: What narrowing a group costs (see `measure_loss`), or scores by group name, in any order of channels.
        shares: Name → share of the operations, from the largest to the smallest.
        options: Smallest widths and steps.

    Raises:
        PassError: A share is out of reach.
    """
    wanted = list(shares.values())
    if callable(loss):
        plans = plan_by_loss(dependencies, groups, loss, wanted, options)
    else:
        plans = plan_widths(dependencies, groups, loss, wanted, options)
    total = operations(dependencies)
    sizes = {group.name: group.size for group in groups}
    return [
        Subnetwork(
            name,
            {group: width for group, width in plan.items() if width < sizes[group]},
            operations(dependencies, plan) / total,
        )
        for name, plan in zip(shares, plans, strict=True)
    ]


def lay_out(program: Program, subnetworks: Sequence[Subnetwork]) -> None:
    """Puts the channels that sub-networks narrow first in their weights, in place; before weights are written."""
    narrowed = {group for subnetwork in subnetworks for group in subnetwork.widths}
    lead_with(program, [group for group in analyse(program).groups if group.name in narrowed])


def derive(program: Program, subnetwork: Subnetwork) -> dict[str, Component]:
    """Returns the components that a sub-network narrows, as graphs over the full network's weights file.

    Args:
        program: Laid out; its large weights are bound to the weights file.
        subnetwork: From `plan_subnetworks`.

    Returns:
        Name in the full program → component, named `<component>_<subnetwork>`. Weights are views
        `<weight>:<rows>` of the same file and offset, vectors of its own `<vector>.<subnetwork>`; components that
        stay whole are left out.
    """
    copies = {
        name: dataclasses.replace(component, model=component.model.clone())
        for name, component in program.components.items()
    }
    before = {name: _shapes(component.model) for name, component in copies.items()}
    narrow(dataclasses.replace(program, components=copies), subnetwork)
    narrowed = {name: c for name, c in copies.items() if _shapes(c.model) != before[name]}
    for name, component in narrowed.items():
        _rename_views(component.model, before[name])
        component.name = f"{name}_{subnetwork.name}"
    return narrowed


def narrow(program: Program, subnetwork: Subnetwork) -> None:
    """Turns a program into one of its sub-networks, in place.

    Args:
        program: With ordered channels, in float or quantised.
        subnetwork: From `plan_subnetworks`, perhaps trained.
    """
    for component in program.components.values():
        _replace_vectors(component.model.graph, subnetwork)
    dependencies = analyse(program)
    kept = {
        group.dimension: np.arange(subnetwork.widths[group.name])
        for group in dependencies.groups
        if group.name in subnetwork.widths
    }
    cut(program, dependencies, kept)


def subnetwork_remarks(subnetworks: Sequence[Subnetwork], groups: Sequence[Group]) -> list[Remark]:
    """States the width of every group in every sub-network."""
    return [
        Remark(
            "Subnetworks",
            group.name,
            "",
            f"{subnetwork.widths.get(group.name, group.size)} of {group.size} {group.kind} in {subnetwork.name}",
            f"least loss per operation; {subnetwork.share:.1%} of the operations remain",
            {"width": float(subnetwork.widths.get(group.name, group.size)), "size": float(group.size)},
        )
        for subnetwork in subnetworks
        for group in groups
    ]


def _operations_of(dependencies: Dependencies, group: Group) -> int:
    size = dependencies.dimensions.size
    return sum(p.operations(size) for p in dependencies.products if group.dimension in p.loops)


def _replace_vectors(graph: ir.Graph, subnetwork: Subnetwork) -> None:
    for name in sorted(subnetwork.vectors.keys() & graph.initializers.keys()):
        value = graph.initializers[name]
        if value.dtype is None:
            continue
        tensor = ir.tensor(subnetwork.vectors[name].astype(value.dtype.numpy()))
        own = shared_initializer(graph, f"{name}.{subnetwork.name}", tensor)
        value.replace_all_uses_with(own)
        del graph.initializers[name]


def _shapes(model: ir.Model) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(int(size) for size in value.const_value.shape.numpy())
        for name, value in model.graph.initializers.items()
        if value.const_value is not None
    }


def _rename_views(model: ir.Model, before: Mapping[str, tuple[int, ...]]) -> None:
    """Names narrowed weights after what they are, since names stand for bytes."""
    for name, value in tuple(model.graph.initializers.items()):
        tensor = value.const_value
        if tensor is None or name not in before or tuple(tensor.shape.numpy()) == before[name]:
            continue
        if tensor.nbytes >= LEAST_BYTES or isinstance(tensor, ir.ExternalTensor):
            value.name = f"{name}{VIEW}{tensor.shape[0]}"
            tensor.name = value.name
