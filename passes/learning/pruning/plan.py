"""Chooses how many channels each group keeps, so that a share of the operations remains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from passes.core.errors import PassError
from passes.learning.pruning.dependencies import Dependencies, Group, Kind
from passes.learning.pruning.importance import Importance

Widths = Mapping[str, int]
"""Group name → channels that stay."""

Loss = Callable[[Group, int], float]
"""What a program loses if one group keeps its first so many channels; 0 where it keeps all of them."""


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """Which groups may shrink, and how far.

    Attributes:
        kinds: Groups of these kinds.
        keep_cache: Leave alone what the KV cache is made of.
        keep_interfaces: Leave alone what components hand to each other.
        least: Share of a group's channels that stay in any case.
        granule: Channels are removed in steps of this many (vector lanes; heads one at a time).
    """

    kinds: Collection[Kind] = (Kind.FFN, Kind.HEADS, Kind.CONV)
    keep_cache: bool = True
    keep_interfaces: bool = True
    least: float = 0.25
    granule: int = 8


def prunable(dependencies: Dependencies, options: PlanOptions) -> list[Group]:
    """Returns the groups that may shrink."""
    return [
        group
        for group in dependencies.groups
        if group.kind in options.kinds
        and not (group.cached and options.keep_cache)
        and not (group.interface and options.keep_interfaces)
    ]


def operations(dependencies: Dependencies, widths: Widths | None = None) -> int:
    """Returns the multiply-accumulates of all products, one call of each component, with groups reduced to widths."""
    size = _sizes(dependencies, widths or {})
    return sum(product.operations(size) for product in dependencies.products)


def plan_widths(
    dependencies: Dependencies,
    groups: Sequence[Group],
    importance: Importance,
    shares: Sequence[float],
    options: PlanOptions,
) -> list[dict[str, int]]:
    """Removes step by step what loses least importance for each operation it saves.

    Scores of a group are scaled to sum to one, so that the loss is the share of the group's importance.

    Args:
        dependencies: From `analyse`.
        groups: Those that may shrink.
        importance: Scores by group name.
        shares: Of the operations, from the largest to the smallest; a smaller plan is inside a larger one.
        options: Smallest widths and steps.

    Returns:
        For each share the width of every group.

    Raises:
        PassError: A share cannot be reached.
    """
    return plan_by_loss(dependencies, groups, _lost_share(importance), shares, options)


def plan_by_loss(
    dependencies: Dependencies,
    groups: Sequence[Group],
    loss: Loss,
    shares: Sequence[float],
    options: PlanOptions,
) -> list[dict[str, int]]:
    """Removes step by step what costs least for each operation it saves.

    Args:
        dependencies: From `analyse`.
        groups: Those that may shrink.
        loss: What narrowing a group costs, comparable between groups.
        shares: As in `plan_widths`.
        options: Smallest widths and steps.

    Returns:
        For each share the width of every group.

    Raises:
        PassError: A share cannot be reached.
    """
    widths = {group.name: group.size for group in groups}
    total = remaining = operations(dependencies)
    plans = []
    for share in shares:
        while remaining > share * total:
            best = _cheapest(dependencies, groups, loss, widths, options)
            if best is None:
                raise _unreachable(share, remaining / total)
            widths[best.name] = next_width(best, widths[best.name], options)
            remaining = operations(dependencies, widths)
        plans.append(dict(widths))
    return plans


def next_width(group: Group, width: int, options: PlanOptions) -> int:
    """Returns the next smaller width; the same where the group may not shrink further."""
    granule = 1 if group.kind is Kind.HEADS else options.granule
    smaller = max((width - 1) // granule * granule, 1)
    return smaller if smaller >= options.least * group.size else width


def most_important(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of the best channels, in ascending order."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _sizes(dependencies: Dependencies, widths: Widths) -> Callable[[int], int]:
    changed = {group.dimension: widths[group.name] for group in dependencies.groups if group.name in widths}
    return lambda dimension: changed.get(dimension, dependencies.dimensions.size(dimension))


def _lost_share(importance: Importance) -> Loss:
    remaining = {}
    for name, scores in importance.items():
        ordered = np.sort(scores)[::-1]
        kept = np.concatenate([[0.0], np.cumsum(ordered)])
        remaining[name] = 1.0 - kept / max(float(kept[-1]), np.finfo(np.float64).tiny)
    return lambda group, width: float(remaining[group.name][width])


def _cheapest(
    dependencies: Dependencies,
    groups: Sequence[Group],
    loss: Loss,
    widths: Widths,
    options: PlanOptions,
) -> Group | None:
    """Returns the group whose next step costs least per operation saved; None if all are at their least."""
    best, least_cost = None, np.inf
    size = _sizes(dependencies, widths)
    for group in groups:
        width = widths[group.name]
        following = next_width(group, width, options)
        if following == width:
            continue
        using = sum(
            product.operations(size) for product in dependencies.products if group.dimension in product.loops
        )
        saved = using * (width - following) / width
        lost = loss(group, following) - loss(group, width)
        if lost / max(saved, 1.0) < least_cost:
            best, least_cost = group, lost / max(saved, 1.0)
    return best


def _unreachable(share: float, reached: float) -> PassError:
    return PassError(
        "the model cannot be pruned that far",
        where="subnetworks",
        received=f"{share:.0%} of the operations wanted, {reached:.1%} remain",
        remedy="ask for a larger share or a smaller least width, or let more channels shrink; in a recipe these are"
        " operations, least_width and keep_cache of the section [prune]",
    )
