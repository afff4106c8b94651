"""`npuc recipe`: show, describe and check recipes."""

from __future__ import annotations

import json
from pathlib import Path

import click

from npuc.errors import RecipeError
from npuc.settings.recipe import recipe_schema
from npuc.settings.recipe_file import load_recipe, tier_recipe
from targets.devices.device import TIERS


@click.group("recipe")
def recipe_group() -> None:
    """Shows, describes and checks recipes."""


@recipe_group.command("show")
@click.argument("recipe", metavar="TIER|FILE")
def show_command(recipe: str) -> None:
    """Prints every setting of a tier's recipe, or of a file, with defaults filled in."""
    if recipe not in TIERS and not Path(recipe).exists():
        raise RecipeError(
            "neither a tier nor a recipe file", received=recipe, remedy=f"tiers are {', '.join(TIERS)}"
        )
    loaded = tier_recipe(recipe) if recipe in TIERS else load_recipe(Path(recipe))
    click.echo(json.dumps(loaded.model_dump(mode="json"), indent=2))


@recipe_group.command("schema")
def schema_command() -> None:
    """Prints the JSON Schema of recipes."""
    click.echo(json.dumps(recipe_schema(), indent=2))


@recipe_group.command("check")
@click.argument("path", type=click.Path(path_type=Path))
def check_command(path: Path) -> None:
    """Checks a recipe file; exit code 2 names the first wrong key."""
    recipe = load_recipe(path)
    click.echo(f"{path}: valid (recipe {recipe.name!r}, schema version {recipe.version})")
