"""Finds targets by name: the built-in ones and those other packages offer."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from targets.errors import TargetError

if TYPE_CHECKING:
    from targets.target import Target

ENTRY_POINT_GROUP = "npuc.targets"
"""An entry point of this group names a function without arguments that returns a `Target`."""

_BUILT_IN = {
    "apple": "targets.apple.target",
    "arm": "targets.arm.target",
    "mediatek": "targets.mediatek.target",
    "snapdragon": "targets.snapdragon.target",
}


def target_names() -> tuple[str, ...]:
    """Names of all targets, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))}))


def find_target(name: str) -> Target:
    """Returns a target by name; a built-in name cannot be taken over by another package.

    Raises:
        TargetError: There is none of that name, or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        factory = cast("Callable[[], Target]", importlib.import_module(_BUILT_IN[name]).create_target)
        return factory()
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            return _load(name, entry.value, entry.load)
    raise TargetError(
        "no such target",
        received=name,
        remedy=f"use one of {', '.join(target_names())}, or install its package",
    )


def _load(name: str, value: str, load: Callable[[], Callable[[], Target]]) -> Target:
    try:
        return load()()
    except Exception as error:
        raise TargetError(
            "the package that offers this target cannot be loaded",
            where=f"{name} = {value}",
            received=f"{type(error).__name__}: {error}",
            remedy="repair or uninstall that package",
        ) from error
