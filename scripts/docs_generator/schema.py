"""Tables of the keys of a pydantic model, from its JSON Schema and the `Attributes:` of its docstrings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from docs_generator.markdown import page, table
from npuc.settings.recipe import Gates, Recipe
from npuc.settings.recipe_file import tier_recipe

_LIMITS = {
    "minimum": "≥",
    "exclusiveMinimum": ">",
    "maximum": "≤",
    "exclusiveMaximum": "<",
    "multipleOf": "multiple of",
}


def schema_page(title: str, intro: str, model: type[BaseModel]) -> str:
    """Returns a page with one table for each record of a model."""
    schema = model.model_json_schema()
    records = {schema["title"]: schema, **schema.get("$defs", {})}
    return page(title, intro, [_record(name, record) for name, record in records.items()])


def recipe_page() -> str:
    """Returns the recipe reference, with what the tiers' recipes contain."""
    intro = (
        "Every key of a recipe. `npuc recipe schema` prints the same as JSON Schema; unknown keys are errors."
    )
    tiers = "\n".join(f"* `{tier}`: {_tier_text(tier)}" for tier in ("high", "mid", "low"))
    return f"{schema_page('Recipe reference', intro, Recipe)}\n## Tiers\n\n{tiers}\n"


def gates_table() -> str:
    """Returns the default bounds and what they mean."""
    rows = [
        (f"`{name}`", f"{field.default:g}", field.description or "")
        for name, field in Gates.model_fields.items()
    ]
    return table(("key", "default", "meaning"), rows)


def type_text(entry: Mapping[str, Any]) -> str:
    """Returns the type of a JSON Schema entry in words; records link to their section."""
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in entry or "const" in entry:
        return " or ".join(f"`{value}`" for value in entry.get("enum", [entry.get("const")]))
    if "anyOf" in entry:
        return " or ".join(type_text(choice) for choice in entry["anyOf"])
    if entry.get("type") == "array":
        return f"list of {type_text(entry.get('items', {}))}"
    if isinstance(entry.get("additionalProperties"), dict):
        return f"table of {type_text(entry['additionalProperties'])}"
    return str(entry.get("type", "any"))


def _record(name: str, record: Mapping[str, Any]) -> str:
    text, _, attributes = record.get("description", "").partition("Attributes:")
    described, required = _attribute_texts(attributes), record.get("required", ())
    rows = [
        (
            f"`{key}`",
            type_text(entry) + _limits(entry),
            "required" if key in required else _default(entry),
            entry.get("description") or described.get(key, ""),
        )
        for key, entry in record.get("properties", {}).items()
    ]
    return f"## {name}\n\n{' '.join(text.split())}\n\n" + table(("key", "type", "default", "meaning"), rows)


def _attribute_texts(text: str) -> dict[str, str]:
    """Splits `name: words` entries of a Google docstring."""
    entries = re.findall(r"^\s*(\w+): (.*?)(?=^\s*\w+: |\Z)", text, re.MULTILINE | re.DOTALL)
    return {name: " ".join(words.split()) for name, words in entries}


def _limits(entry: Mapping[str, Any]) -> str:
    return "".join(f", {sign} {entry[key]:g}" for key, sign in _LIMITS.items() if key in entry)


def _default(entry: Mapping[str, Any]) -> str:
    return f"`{entry['default']}`" if entry.get("default") not in (None, "", []) else ""


def _tier_text(tier: str) -> str:
    recipe = tier_recipe(tier)
    if recipe.prune is not None:
        shares = ", ".join(f"`{entry.name}` {entry.operations:.0%}" for entry in recipe.prune.subnetworks)
        return f"nested sub-networks with these shares of the operations: {shares}."
    if recipe.distill is not None:
        share = f"{recipe.distill.largest_share:.0%}"
        return f"a distilled student of {recipe.distill.params} parameters, at most {share} of the model."
    return "the full model."
