"""Training asked for on the command line or in Python, put into a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from npuc.errors import UsageError
from npuc.settings.recipe import Qat, Recipe


def parse_assignments(text: str) -> dict[str, str]:
    """Reads `steps=200,learning_rate=1e-5`.

    Raises:
        UsageError: A part is no assignment, or a key comes twice.
    """
    values: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value) or key in values:
            raise UsageError("--qat is not a list of settings", received=part, remedy=_REMEDY)
        values[key] = value
    return values


def with_training(recipe: Recipe, qat: Mapping[str, object] | None, data: str | Path | None) -> Recipe:
    """Returns the recipe with the settings of [qat] replaced, and the data for every stage that trains.

    Args:
        recipe: As loaded.
        qat: Keys of the section [qat], or None to leave it as it is.
        data: Manifest for the sections [qat], [distill] and [prune].

    Raises:
        UsageError: A key or a value is wrong, or nothing in the recipe trains on data.
    """
    before = recipe.qat.model_dump() if recipe.qat is not None else {}
    section = None if qat is None and recipe.qat is None else _validate({**before, **(qat or {})})
    if data is None:
        return recipe.model_copy(update={"qat": section})
    if section is None and recipe.distill is None and recipe.prune is None:
        raise UsageError(
            "--data is given, but nothing is trained",
            received=str(data),
            remedy="add --qat steps=200, or compile for the mid or low tier",
        )
    update = {"data": str(data)}
    return recipe.model_copy(
        update={
            "qat": section and section.model_copy(update=update),
            "distill": recipe.distill and recipe.distill.model_copy(update=update),
            "prune": recipe.prune and recipe.prune.model_copy(update=update),
        }
    )


_REMEDY = f"write --qat steps=200,learning_rate=1e-5; the keys are {', '.join(sorted(Qat.model_fields))}"


def _validate(values: Mapping[str, object]) -> Qat:
    try:
        return Qat.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"--qat {key}: {first['msg']}", received=repr(first.get("input")), remedy=_REMEDY
        ) from error
