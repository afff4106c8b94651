"""Solves the wish for a student of so many parameters to dimensions of the teacher's family."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from passes.learning.distillation.layout import Choice, Dimensions, Layout, Part
from passes.learning.training.errors import TrainingError

TOLERANCE = 0.02
"""Largest relative difference between the wish and what is built."""

_UNITS = {"M": 10**6, "B": 10**9}
_MOST_COMBINATIONS = 1 << 24
_ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Solution:
    """A student's dimensions.

    Attributes:
        dimensions: All of them.
        params: Parameters they give.
        wished: Parameters asked for.
        counts: Parameters of each part.
    """

    dimensions: Dimensions
    params: int
    wished: int
    counts: Mapping[str, int]


def wished_params(wish: str, teacher: int, largest_share: float) -> int:
    """Returns the number of parameters a wish means.

    Args:
        wish: `1.0B`, `300M`, or a share of the teacher such as `25%`.
        teacher: Parameters of the teacher.
        largest_share: A student never has more than this share of the teacher.

    Raises:
        TrainingError: The wish is not of this form.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([MB%])", wish)
    if found is None:
        raise TrainingError(
            "a student's size is not understood", received=wish, remedy="write 1.0B, 300M or 25%"
        )
    number, unit = float(found[1]), found[2]
    params = teacher * number / 100 if unit == "%" else number * _UNITS[unit]
    return round(min(params, teacher * largest_share))


def solve(layout: Layout, params: int, shares: Mapping[str, float] | None = None) -> Solution:
    """Chooses depth, width, heads and feed-forward size of every part.

    Among the combinations within a quarter of `TOLERANCE`, else within it, the one whose proportions are nearest to
    the teacher's is taken: every dimension shrinks with the width to the power of its `Choice.exponent`. Depth
    shrinks more slowly than width, which costs less accuracy at equal size (arXiv 2408.11796, section 4).

    Args:
        layout: Of the teacher.
        params: Of the student.
        shares: Part → share of the student's parameters; default: as in the teacher.

    Raises:
        TrainingError: No combination is near enough.
    """
    shares = shares or {}
    given = sum(shares.values())
    free = sum(layout.share(part.name) for part in layout.parts if part.name not in shares)
    budgets = {
        part.name: params * shares.get(part.name, layout.share(part.name) * (1 - given) / max(free, 1e-9))
        for part in layout.parts
    }
    first = layout.parts[0].name
    counts: dict[str, int] = {}
    for _ in range(_ROUNDS):
        dimensions = dict(layout.dimensions)
        for part in layout.parts:
            dimensions = _solve_part(layout, part, dimensions, budgets[part.name], params)
        counts = {part.name: int(part.count(dimensions)) for part in layout.parts}
        if abs(sum(counts.values()) - params) <= TOLERANCE * params:
            return Solution(dimensions, sum(counts.values()), params, counts)
        # what the later parts cannot reach, the first one takes or gives
        budgets[first] = params - sum(count for name, count in counts.items() if name != first)
    raise TrainingError(
        f"no student of this size exists within {TOLERANCE:.0%}",
        received=f"{params} wished, the nearest found is {sum(counts.values())} ({counts})",
        remedy="wish for the nearest, or give the parts other shares",
    )


def _solve_part(
    layout: Layout, part: Part, dimensions: Mapping[str, int], wished: float, params: int
) -> dict[str, int]:
    """Chooses a part's dimensions: the best proportions within the tolerance, else the nearest size."""
    grids = _grids(part.choices, dimensions)
    candidates = layout.derive({**dimensions, **grids})
    error = np.abs(part.count(candidates) - wished) / params
    cost = _disproportion(part.choices, grids, dimensions)
    best = int(np.argmin(error))
    for tolerance in (TOLERANCE, TOLERANCE / 4):
        fitting = error <= tolerance
        if fitting.any():
            best = int(np.argmin(np.where(fitting, cost + 1e-3 * error, np.inf)))
    chosen = {name: int(grid[best]) for name, grid in grids.items()}
    return dict(layout.derive({**dimensions, **chosen}))


def _grids(choices: tuple[Choice, ...], teacher: Mapping[str, int]) -> dict[str, npt.NDArray[np.int64]]:
    """Returns every combination of sizes, one flat array for each dimension."""
    sizes = []
    for choice in choices:
        largest = teacher[choice.name]
        steps = np.arange(choice.step, largest + 1, choice.step)
        # a teacher that is no multiple of the step keeps its own size as the only other choice
        fitting = np.union1d(steps[steps >= choice.least], [largest])
        sizes.append(fitting)
    if np.prod([float(len(each)) for each in sizes]) > _MOST_COMBINATIONS:
        raise TrainingError(
            "the teacher has too many dimensions to choose from",
            received=", ".join(f"{c.name} {len(s)}" for c, s in zip(choices, sizes, strict=True)),
        )
    grids = np.meshgrid(*sizes, indexing="ij")
    return {choice.name: grid.reshape(-1) for choice, grid in zip(choices, grids, strict=True)}


def _disproportion(
    choices: tuple[Choice, ...], grids: Mapping[str, npt.NDArray[np.int64]], teacher: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """Sum of squared logarithmic distances from the proportions wanted; the first choice is the width."""
    shrink = {choice.name: np.log(grids[choice.name] / teacher[choice.name]) for choice in choices}
    width = shrink[choices[0].name]
    cost = np.zeros_like(width)
    for choice in choices[1:]:
        cost += (shrink[choice.name] - choice.exponent * width) ** 2
    return cost
