"""Shapes of a model's inputs given on the command line or in Python, put into a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from npuc.errors import UsageError
from npuc.settings.recipe import Recipe


def parse_input_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Reads `picture=1,3,224,224`; the name may contain `=` itself.

    Raises:
        UsageError: A text is no assignment of sizes, or a name comes twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        parts = [part.strip() for part in sizes.split(",")]
        if not name or name in shapes or not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise UsageError(
                "--input-shape is not the shape of an input",
                received=text,
                remedy="write the input's name and all its sizes once, such as --input-shape picture=1,3,224,224",
            )
        shapes[name] = tuple(map(int, parts))
    return shapes


def with_input_shapes(recipe: Recipe, shapes: Mapping[str, Sequence[int]]) -> Recipe:
    """Returns the recipe with shapes added to its section [capture]."""
    if not shapes:
        return recipe
    chosen = {**recipe.capture.input_shapes, **{name: tuple(shape) for name, shape in shapes.items()}}
    return recipe.with_values("capture", input_shapes=chosen)
