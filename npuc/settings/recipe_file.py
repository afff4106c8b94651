"""Reads recipes: the one shipped for a tier, and files of the user's, which may extend it."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from exporter.errors import SourceError
from exporter.files.toml_file import TomlError, read_toml
from npuc.errors import RecipeError
from npuc.settings.recipe import Recipe
from targets.devices.device import TIERS


def tier_recipe(tier: str) -> Recipe:
    """Returns the recipe shipped for a tier.

    Raises:
        RecipeError: There is no such tier.
    """
    if tier not in TIERS:
        raise RecipeError("unknown tier", received=tier, remedy=f"use one of {', '.join(TIERS)}")
    return _validate(tomllib.loads(_tier_text(tier)), f"tier {tier}")


def load_recipe(path: Path) -> Recipe:
    """Reads a recipe file; with `extends`, over the settings of that tier.

    Raises:
        RecipeError: The file is missing, too large, not TOML, or has unknown or wrong keys.
    """
    values = _read_toml(path)
    tier = values.get("extends")
    if isinstance(tier, str) and tier in TIERS:
        values = _merged(tomllib.loads(_tier_text(tier)), values)
    return _validate(values, str(path))


def _tier_text(tier: str) -> str:
    return resources.files("npuc").joinpath("recipes", f"{tier}.toml").read_text("utf-8")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except SourceError as error:
        raise RecipeError(
            "cannot read the recipe",
            where=str(path),
            received=": ".join(filter(None, (error.what, error.received))),
            remedy="name a TOML file of at most 1 MiB",
        ) from error
    except TomlError as error:
        raise RecipeError(
            "the recipe is not valid TOML",
            where=str(path),
            received=str(error)[:300],
            remedy="fix the line named above",
        ) from error


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _validate(values: dict[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RecipeError(
            f"recipe key {key!r}: {first['msg']}",
            where=where,
            received=repr(first.get("input"))[:200],
            remedy="`npuc recipe schema` lists every key with its type and default",
        ) from error
