"""The part of generation_config.json that greedy decoding needs."""

from __future__ import annotations

from typing import Any

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder


def end_tokens(folder: ModelFolder) -> tuple[int, ...]:
    """Ids that end an answer: of generation_config.json, else of config.json (or its text_config).

    Raises:
        SourceError: Neither names one, or what they name is not an id.
    """
    found: Any = None
    if folder.has("generation_config.json"):
        found = folder.read_json("generation_config.json").get("eos_token_id")
    text = folder.config.get("text_config")
    for section in (folder.config, text if isinstance(text, dict) else {}):
        found = section.get("eos_token_id") if found is None else found
    ids = found if isinstance(found, list) else [found]
    if not ids or not all(type(token) is int and token >= 0 for token in ids):
        raise SourceError(
            "no token is known that ends an answer",
            where=str(folder.path),
            received=f"eos_token_id = {str(found)[:60]}",
            remedy="set eos_token_id in generation_config.json",
        )
    return tuple(sorted(set(ids)))
