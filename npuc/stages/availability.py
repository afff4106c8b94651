"""Refuses recipes whose stages this version of npuc does not contain, before any work is done."""

from __future__ import annotations

from npuc.errors import StageUnavailableError
from npuc.recipe import Recipe


def check_stages(recipe: Recipe) -> None:
    """Checks that every stage a recipe names exists.

    Raises:
        StageUnavailableError: The recipe prunes into sub-networks.
    """
    if recipe.prune is not None:
        names = ", ".join(subnetwork.name for subnetwork in recipe.prune.subnetworks)
        raise _unavailable(recipe, "prune", f"nested sub-networks ({names})")


def _unavailable(recipe: Recipe, stage: str, purpose: str) -> StageUnavailableError:
    return StageUnavailableError(
        f"recipe {recipe.name!r} needs the stage `{stage}`, which this version of npuc does not contain",
        where=f"recipe {recipe.name!r}, section [{stage}]",
        received=purpose,
        remedy="compile the full model for this device with --tier high",
    )
