"""The parts of a Qwen3-VL config.json that the graphs depend on. Every field is required: no default fits every size.

Both ways of writing the rotary settings are read: `rope_scaling` with `rope_theta` beside it (transformers 4), and
`rope_parameters` (transformers 5).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import pydantic

from exporter.errors import ExportError

Count = Annotated[int, pydantic.Field(strict=True, gt=0, le=1 << 20)]
"""A size; the limit keeps a hostile file from asking for absurd graphs."""
TokenId = Annotated[int, pydantic.Field(strict=True, ge=0, le=1 << 24)]
RopeBase = Annotated[float, pydantic.Field(gt=1, le=1e15)]
"""Published ones are 1e4 to 1e8; float32 holds the powers of larger ones no longer."""


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class VisionConfig(_Section):
    """`vision_config`."""

    depth: Annotated[int, pydantic.Field(strict=True, gt=0, le=1024)]
    hidden_size: Count
    hidden_act: Literal["gelu_pytorch_tanh"]
    intermediate_size: Count
    num_heads: Count
    in_channels: Literal[3]
    patch_size: Annotated[int, pydantic.Field(strict=True, gt=0, le=256)]
    spatial_merge_size: Annotated[int, pydantic.Field(strict=True, gt=0, le=16)]
    temporal_patch_size: Annotated[int, pydantic.Field(strict=True, gt=0, le=16)]
    out_hidden_size: Count
    num_position_embeddings: Count
    deepstack_visual_indexes: tuple[Annotated[int, pydantic.Field(strict=True, ge=0)], ...]
    rope_theta: RopeBase = 10000.0
    """Not in the files of transformers 4, where the architecture fixes it."""

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def patch_dim(self) -> int:
        """Values of one flattened patch."""
        return self.in_channels * self.temporal_patch_size * self.patch_size**2

    @property
    def size_factor(self) -> int:
        """Pixels that both sides of an image must be a multiple of."""
        return self.patch_size * self.spatial_merge_size

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden_size % self.num_heads or self.head_dim % 4:
            raise ValueError("hidden_size / num_heads must be a multiple of 4")
        if math.isqrt(self.num_position_embeddings) ** 2 != self.num_position_embeddings:
            raise ValueError("num_position_embeddings must be a square")
        indexes = self.deepstack_visual_indexes
        if list(indexes) != sorted(set(indexes)) or any(index >= self.depth for index in indexes):
            raise ValueError("deepstack_visual_indexes must be ascending and below depth")
        return self


class TextConfig(_Section):
    """`text_config`."""

    vocab_size: Annotated[int, pydantic.Field(strict=True, gt=0, le=1 << 24)]
    hidden_size: Count
    hidden_act: Literal["silu"]
    intermediate_size: Count
    num_hidden_layers: Annotated[int, pydantic.Field(strict=True, gt=0, le=1024)]
    num_attention_heads: Count
    num_key_value_heads: Count
    head_dim: Count
    rms_norm_eps: Annotated[float, pydantic.Field(ge=1e-30, lt=1)]
    attention_bias: Literal[False]
    rope_type: Literal["default"]
    rope_theta: RopeBase
    mrope_section: tuple[Count, Count, Count]
    mrope_interleaved: Literal[True]

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError("num_attention_heads must be a multiple of num_key_value_heads")
        if 2 * sum(self.mrope_section) != self.head_dim:
            raise ValueError("mrope_section must add up to head_dim / 2")
        return self


class Qwen3VLConfig(_Section):
    """config.json."""

    text: TextConfig
    vision: VisionConfig
    image_token_id: TokenId
    tie_word_embeddings: bool

    @pydantic.model_validator(mode="after")
    def _check(self) -> Self:
        if self.vision.out_hidden_size != self.text.hidden_size:
            raise ValueError("vision_config.out_hidden_size must equal text_config.hidden_size")
        if len(self.vision.deepstack_visual_indexes) > self.text.num_hidden_layers:
            raise ValueError("there are more deepstack features than decoder layers")
        if self.image_token_id >= self.text.vocab_size:
            raise ValueError("image_token_id must be below text_config.vocab_size")
        return self


def parse_config(config: Mapping[str, Any], where: str) -> Qwen3VLConfig:
    """Reads config.json.

    Args:
        config: Its content.
        where: Its path, for the error.

    Raises:
        ExportError: A field is missing, of the wrong type or inconsistent with another; all of them are named.
    """
    text = _section(config, "text_config", where)
    vision = _section(config, "vision_config", where)
    raw = {
        "text": {**text, **_text_rope(text)},
        "vision": {**vision, **_vision_rope(vision)},
        "image_token_id": config.get("image_token_id"),
        "tie_word_embeddings": config.get("tie_word_embeddings", text.get("tie_word_embeddings")),
    }
    try:
        return Qwen3VLConfig.model_validate(raw)
    except pydantic.ValidationError as error:
        raise ExportError(
            "config.json does not describe a Qwen3-VL model that npuc can capture",
            where=where,
            received="; ".join(_problem(item) for item in error.errors()),
            remedy="use the config.json that belongs to the checkpoint",
        ) from error


def _section(config: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    section = config.get(name)
    if not isinstance(section, dict):
        raise ExportError(
            f"config.json has no {name}",
            where=where,
            received=str(section)[:80],
            remedy="use an untouched config.json",
        )
    return section


def _text_rope(text: Mapping[str, Any]) -> dict[str, Any]:
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    names = ("rope_type", "rope_theta", "mrope_section", "mrope_interleaved")
    return {name: rope[name] for name in names if name in rope} if isinstance(rope, dict) else {}


def _vision_rope(vision: Mapping[str, Any]) -> dict[str, Any]:
    rope = vision.get("rope_parameters")
    return {"rope_theta": rope["rope_theta"]} if isinstance(rope, dict) and "rope_theta" in rope else {}


def _problem(item: Any) -> str:
    path = ".".join(str(part) for part in item["loc"])
    path = path.replace("text.", "text_config.", 1).replace("vision.", "vision_config.", 1)
    if item["type"] == "missing" or item["input"] is None:
        return f"{path} is missing"
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    return f"{path} = {str(item['input'])[:60]}: {item['msg']}"
