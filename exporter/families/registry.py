"""The families, by name."""

from __future__ import annotations

from exporter.families.family import Family
from exporter.families.generic.family import GenericFamily
from exporter.families.multimodal_transformer.family import MultimodalTransformerFamily
from exporter.families.qwen3_vl.adapter import Qwen3VLFamily

__all__ = ["FAMILIES", "Family"]

_ALL: tuple[Family, ...] = (Qwen3VLFamily(), MultimodalTransformerFamily(), GenericFamily())

FAMILIES: dict[str, Family] = {family.name: family for family in _ALL}
"""By name; `Program.family` is a key of it."""
