"""Which tensors a Qwen3-VL checkpoint must hold, by its config.json: known before a graph is made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exporter.errors import ExportError
from exporter.families.qwen3_vl.config import Qwen3VLConfig, TextConfig, VisionConfig
from exporter.files.safetensors_header import StoredTensor

_TEXT, _VISION = "model.language_model.", "model.visual."
Shapes = Iterator[tuple[str, tuple[int, ...]]]


def check_stored_tensors(config: Qwen3VLConfig, tensors: Mapping[str, StoredTensor], where: str) -> None:
    """Checks that every tensor is there, in its shape.

    Args:
        config: Accepted by `parse_config`.
        tensors: Of the checkpoint, by name.
        where: The folder, for the error.

    Raises:
        ExportError: One is missing, or has another shape.
    """
    for name, shape in stored_tensors(config):
        stored = tensors.get(name)
        if stored is None or stored.shape != shape:
            has = "none" if stored is None else str(list(stored.shape))
            raise ExportError(
                "a tensor's shape does not fit config.json"
                if stored is not None
                else "the checkpoint lacks a tensor that its config.json asks for",
                where=f"{where}: {name}",
                received=f"{has}, config.json asks for {list(shape)}",
                remedy="check that all shards were downloaded and that config.json belongs to these weights",
            )


def stored_tensors(config: Qwen3VLConfig) -> Shapes:
    """Yields name and shape of each tensor, in the names of transformers."""
    text = config.text
    yield from _prefixed(_TEXT, _decoder(text))
    if not config.tie_word_embeddings:
        yield "lm_head.weight", (text.vocab_size, text.hidden_size)
    yield from _prefixed(_VISION, _encoder(config.vision))


def _decoder(text: TextConfig) -> Shapes:
    hidden, inner = text.hidden_size, text.intermediate_size
    queries = text.num_attention_heads * text.head_dim
    keys = text.num_key_value_heads * text.head_dim
    yield "embed_tokens.weight", (text.vocab_size, hidden)
    yield "norm.weight", (hidden,)
    for index in range(text.num_hidden_layers):
        yield from _prefixed(
            f"layers.{index}.",
            (
                ("input_layernorm.weight", (hidden,)),
                ("post_attention_layernorm.weight", (hidden,)),
                ("self_attn.q_proj.weight", (queries, hidden)),
                ("self_attn.k_proj.weight", (keys, hidden)),
                ("self_attn.v_proj.weight", (keys, hidden)),
                ("self_attn.o_proj.weight", (hidden, queries)),
                ("self_attn.q_norm.weight", (text.head_dim,)),
                ("self_attn.k_norm.weight", (text.head_dim,)),
                ("mlp.gate_proj.weight", (inner, hidden)),
                ("mlp.up_proj.weight", (inner, hidden)),
                ("mlp.down_proj.weight", (hidden, inner)),
            ),
        )


def _encoder(vision: VisionConfig) -> Shapes:
    hidden, inner, patch = vision.hidden_size, vision.intermediate_size, vision.patch_size
    merged = hidden * vision.spatial_merge_size**2
    yield "patch_embed.proj.weight", (hidden, vision.in_channels, vision.temporal_patch_size, patch, patch)
    yield "patch_embed.proj.bias", (hidden,)
    yield "pos_embed.weight", (vision.num_position_embeddings, hidden)
    for index in range(vision.depth):
        block = f"blocks.{index}."
        yield from _norm(f"{block}norm1", hidden)
        yield from _norm(f"{block}norm2", hidden)
        yield from _linear(f"{block}attn.qkv", 3 * hidden, hidden)
        yield from _linear(f"{block}attn.proj", hidden, hidden)
        yield from _linear(f"{block}mlp.linear_fc1", inner, hidden)
        yield from _linear(f"{block}mlp.linear_fc2", hidden, inner)
    yield from _merger("merger.", hidden, merged, vision.out_hidden_size)
    for index in range(len(vision.deepstack_visual_indexes)):
        yield from _merger(f"deepstack_merger_list.{index}.", merged, merged, vision.out_hidden_size)


def _merger(prefix: str, norm: int, merged: int, out: int) -> Shapes:
    yield from _norm(f"{prefix}norm", norm)
    yield from _linear(f"{prefix}linear_fc1", merged, merged)
    yield from _linear(f"{prefix}linear_fc2", out, merged)


def _linear(name: str, out: int, width: int) -> Shapes:
    yield f"{name}.weight", (out, width)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _prefixed(prefix: str, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> Shapes:
    for name, shape in shapes:
        yield prefix + name, shape
