"""The families, by name."""

from __future__ import annotations

import functools
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from exporter.families.family import Family

_PLACES = {
    "qwen3_vl": "exporter.families.qwen3_vl.adapter:Qwen3VLFamily",
    "multimodal_transformer": "exporter.families.multimodal_transformer.family:MultimodalTransformerFamily",
    "generic": "exporter.families.generic.family:GenericFamily",
}


class _Families(Mapping[str, "Family"]):
    """Imports a family when it is looked up: a graph needs no tokenizer, and a folder of one family not the others."""

    def __getitem__(self, name: str) -> Family:
        return _load(_PLACES[name])

    def __contains__(self, name: object) -> bool:
        return name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


@functools.cache
def _load(place: str) -> Family:
    return cast("Family", pkgutil.resolve_name(place)())


FAMILIES: Mapping[str, Family] = _Families()
"""By name; `Program.family` is a key of it."""
