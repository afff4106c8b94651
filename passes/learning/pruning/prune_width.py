"""Removes channels: of feed-forward layers, attention heads, convolutions, or the residual stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from passes.core.errors import PassError
from passes.learning.pruning.cut import cut
from passes.learning.pruning.dependencies import Dependencies, Tie, analyse
from passes.learning.pruning.importance import Importance
from passes.learning.pruning.plan import PlanOptions, most_important, operations, plan_widths, prunable
from program.program import Program
from program.remark import Remark


def prune_width(
    program: Program, kept: Mapping[str, Sequence[int]], ties: Iterable[Tie] = ()
) -> list[Remark]:
    """Keeps chosen channels of some groups, in place, in every component.

    Args:
        program: Normalised.
        kept: Group name → indices that stay, in their new order; other groups stay whole.
        ties: See `analyse`.

    Returns:
        A remark for each group.

    Raises:
        PassError: There is no such group, or an index is wrong.
    """
    dependencies = analyse(program, ties)
    by_name = {group.name: group for group in dependencies.groups}
    unknown = sorted(kept.keys() - by_name.keys())
    if unknown:
        raise PassError(
            "there are no such groups of channels",
            received=", ".join(unknown),
            remedy="name groups that `passes.learning.pruning.dependencies.analyse` lists",
        )
    chosen = {by_name[name].dimension: np.asarray(index, np.int64) for name, index in kept.items()}
    before = operations(dependencies)
    after = operations(dependencies, {name: len(index) for name, index in kept.items()})
    cut(program, dependencies, chosen)
    return [
        Remark(
            "prune_width",
            name,
            "",
            f"{len(index)} of {by_name[name].size} {by_name[name].kind} kept",
            "least important first",
            {"operations_share": after / before},
        )
        for name, index in kept.items()
    ]


def choose_channels(
    dependencies: Dependencies, importance: Importance, share: float, options: PlanOptions | None = None
) -> dict[str, list[int]]:
    """Returns the channels to keep so that a share of the operations remains; see `plan_widths`."""
    options = options or PlanOptions()
    groups = prunable(dependencies, options)
    widths = plan_widths(dependencies, groups, importance, [share], options)[0]
    return {
        group.name: most_important(importance[group.name], widths[group.name]).tolist()
        for group in groups
        if widths[group.name] < group.size
    }
