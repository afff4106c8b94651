"""The layout of Qwen3-VL checkpoints (tensor names and shapes as in the published safetensors)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from exporter.families.qwen3_vl.config import Qwen3VLConfig, parse_config
from passes.learning.distillation.layout import Axis, Choice, Dimensions, Indices, Layout, Part, Weight

_TEXT = "model.language_model."
_LAYER = _TEXT + "layers.{layer}."
_VISUAL = "model.visual."
_BLOCK = _VISUAL + "blocks.{layer}."
_TILE = 128
"""Widths are multiples of it: vectors of 128 bytes are the longest of mobile NPUs, which tile channels by a divisor."""


def qwen3_vl_layout(config: Mapping[str, Any]) -> Layout:
    """Describes a checkpoint.

    Args:
        config: Content of config.json.

    Raises:
        ExportError: It does not describe a Qwen3-VL model.
    """
    parsed = parse_config(config, "config.json")
    text, vision = parsed.text, parsed.vision
    dimensions = {
        "text_width": text.hidden_size,
        "text_layers": text.num_hidden_layers,
        "text_mlp": text.intermediate_size,
        "kv_heads": text.num_key_value_heads,
        "vision_width": vision.hidden_size,
        "vision_heads": vision.num_heads,
        "vision_layers": vision.depth,
        "vision_mlp": vision.intermediate_size,
    }
    head_dim = vision.head_dim

    def derive(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "vision_width": values["vision_heads"] * head_dim}

    text_step = _TILE if text.hidden_size >= 4 * _TILE else 8
    vision_step = _TILE if vision.hidden_size >= 4 * _TILE else 8
    features = len(vision.deepstack_visual_indexes)
    text_choices = (
        Choice("text_width", text_step),
        Choice("text_layers", exponent=0.5, least=max(1, features)),
        Choice("text_mlp", text_step),
        Choice("kv_heads", exponent=0.75),
    )
    vision_choices = (
        Choice("vision_heads", max(1, vision_step // head_dim)),
        Choice("vision_layers", exponent=0.5, least=max(1, features)),
        Choice("vision_mlp", vision_step),
    )
    return Layout(
        dimensions=dimensions,
        parts=(
            Part("text", _text_weights(parsed), text_choices),
            Part("vision", _vision_weights(parsed), vision_choices),
        ),
        derive=derive,
        stacks={"text_layers": "decoder.layers.{layer}", "vision_layers": "vision.blocks.{layer}"},
        configured=lambda chosen, layers: _configured(config, parsed, chosen, layers),
    )


def _text_weights(config: Qwen3VLConfig) -> tuple[Weight, ...]:
    text = config.text
    group = text.num_attention_heads // text.num_key_value_heads
    width, mlp = Axis("text_width"), Axis("text_mlp")
    query, key = Axis("kv_heads", group * text.head_dim), Axis("kv_heads", text.head_dim)
    vocabulary, head = Axis("", text.vocab_size), Axis("", text.head_dim)
    layer = {
        "self_attn.q_proj.weight": (query, width),
        "self_attn.k_proj.weight": (key, width),
        "self_attn.v_proj.weight": (key, width),
        "self_attn.o_proj.weight": (width, query),
        "self_attn.q_norm.weight": (head,),
        "self_attn.k_norm.weight": (head,),
        "mlp.gate_proj.weight": (mlp, width),
        "mlp.up_proj.weight": (mlp, width),
        "mlp.down_proj.weight": (width, mlp),
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
    }
    head_weight = () if config.tie_word_embeddings else (Weight("lm_head.weight", (vocabulary, width)),)
    return (
        Weight(_TEXT + "embed_tokens.weight", (vocabulary, width)),
        *(Weight(_LAYER + name, axes, "text_layers") for name, axes in layer.items()),
        Weight(_TEXT + "norm.weight", (width,)),
        *head_weight,
    )


def _vision_weights(config: Qwen3VLConfig) -> tuple[Weight, ...]:
    vision = config.vision
    width, mlp = Axis("vision_width"), Axis("vision_mlp")
    heads, stacked = Axis("vision_heads", vision.head_dim), Axis("vision_heads", vision.head_dim, 3)
    kernel = (vision.in_channels, vision.temporal_patch_size, vision.patch_size, vision.patch_size)
    block = {
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
        "attn.qkv.weight": (stacked, width),
        "attn.qkv.bias": (stacked,),
        "attn.proj.weight": (width, heads),
        "attn.proj.bias": (width,),
        "mlp.linear_fc1.weight": (mlp, width),
        "mlp.linear_fc1.bias": (mlp,),
        "mlp.linear_fc2.weight": (width, mlp),
        "mlp.linear_fc2.bias": (width,),
    }
    features = range(len(vision.deepstack_visual_indexes))
    return (
        Weight(_VISUAL + "patch_embed.proj.weight", (width, *(Axis("", size) for size in kernel))),
        Weight(_VISUAL + "patch_embed.proj.bias", (width,)),
        Weight(_VISUAL + "pos_embed.weight", (Axis("", vision.num_position_embeddings), width)),
        *(Weight(_BLOCK + name, axes, "vision_layers") for name, axes in block.items()),
        *_merger_weights(_VISUAL + "merger.", width, vision.spatial_merge_size),
        *(
            weight
            for index in features
            for weight in _merger_weights(
                f"{_VISUAL}deepstack_merger_list.{index}.", width, vision.spatial_merge_size, after_merge=True
            )
        ),
    )


def _merger_weights(prefix: str, width: Axis, merge: int, after_merge: bool = False) -> tuple[Weight, ...]:
    merged = Axis(width.dimension, 1, merge**2)
    norm = merged if after_merge else width
    out = Axis("text_width")
    tensors = {
        "norm.weight": (norm,),
        "norm.bias": (norm,),
        "linear_fc1.weight": (merged, merged),
        "linear_fc1.bias": (merged,),
        "linear_fc2.weight": (out, merged),
        "linear_fc2.bias": (out,),
    }
    return tuple(Weight(prefix + name, axes) for name, axes in tensors.items())


def _configured(
    config: Mapping[str, Any], parsed: Qwen3VLConfig, chosen: Dimensions, layers: Mapping[str, Indices]
) -> dict[str, Any]:
    group = parsed.text.num_attention_heads // parsed.text.num_key_value_heads
    result = copy.deepcopy(dict(config))
    result["text_config"] |= {
        "hidden_size": chosen["text_width"],
        "num_hidden_layers": chosen["text_layers"],
        "intermediate_size": chosen["text_mlp"],
        "num_attention_heads": group * chosen["kv_heads"],
        "num_key_value_heads": chosen["kv_heads"],
        # stated, as config.json may leave it to follow from the width
        "head_dim": parsed.text.head_dim,
    }
    result["text_config"].pop("layer_types", None)
    kept = layers["vision_layers"]
    result["vision_config"] |= {
        "hidden_size": chosen["vision_width"],
        "num_heads": chosen["vision_heads"],
        "depth": chosen["vision_layers"],
        "intermediate_size": chosen["vision_mlp"],
        "out_hidden_size": chosen["text_width"],
        "deepstack_visual_indexes": [
            int(np.searchsorted(kept, index)) for index in parsed.vision.deepstack_visual_indexes
        ],
    }
    return result


def required_layers(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Returns the layers a student must keep: those whose output the deepstack mergers read."""
    return {"vision_layers": parse_config(config, "config.json").vision.deepstack_visual_indexes}
