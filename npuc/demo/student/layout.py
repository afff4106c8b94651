"""The layout of the bundled model's checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.families.multimodal_transformer.config import ModelConfig
from passes.learning.distillation.layout import Axis, Choice, Dimensions, Indices, Layout, Part, Weight

_STEM = 32
"""Channels of the image stem's first convolution, fixed in the architecture."""

_WIDTH, _HEADS, _MLP = "width", "heads", "mlp_width"

_Tensors = dict[str, tuple[Axis, ...]]


def multimodal_transformer_layout(config: Mapping[str, Any]) -> Layout:
    """Describes a checkpoint.

    Args:
        config: Content of config.json.

    Raises:
        SourceError: Its dimensions do not fit together.
    """
    parsed = ModelConfig.from_json(config)
    stacks = {
        "vision_layers": "vision_encoder.blocks.{layer}",
        "audio_layers": "audio_encoder.blocks.{layer}",
        "text_layers": "text_encoder.blocks.{layer}",
        "fusion_layers": "fusion.blocks.{layer}",
        "decoder_layers": "decoder.blocks.{layer}",
    }
    names = (_WIDTH, _HEADS, _MLP, "mixer_width", *stacks)
    dimensions = {name: int(getattr(parsed, name)) for name in names}
    step = 8 if parsed.mlp_width >= 64 else 1

    def derive(values: dict[str, Any]) -> dict[str, Any]:
        return {**values, _WIDTH: values[_HEADS] * parsed.head_dim}

    def configured(chosen: Dimensions, layers: Mapping[str, Indices]) -> dict[str, Any]:  # noqa: ARG001
        return {**config, **{name: chosen[name] for name in names}}

    return Layout(
        dimensions=dimensions,
        parts=(
            Part(
                "model",
                _weights(parsed, stacks),
                (
                    Choice(_HEADS),
                    Choice(_MLP, step),
                    Choice("mixer_width", step),
                    *(Choice(name, exponent=0.25) for name in stacks),
                ),
            ),
        ),
        derive=derive,
        stacks=stacks,
        configured=configured,
    )


def _weights(config: ModelConfig, stacks: Mapping[str, str]) -> tuple[Weight, ...]:
    width, vocabulary = Axis(_WIDTH), Axis("", config.vocab_size)
    once: _Tensors = {
        **_stem("vision_encoder.stem.0.", (Axis("", _STEM), Axis("", 1), Axis("", 5), Axis("", 5))),
        **_stem("vision_encoder.stem.2.", (width, Axis("", _STEM), Axis("", 3), Axis("", 3))),
        **_stem("vision_encoder.stem.4.", (width, width, Axis("", 3), Axis("", 3))),
        "vision_encoder.position": (Axis("", 1), Axis("", config.vision_tokens), width),
        **_resampler("vision_encoder.resampler.", config),
        **_stem("audio_encoder.stem.0.", (width, Axis("", config.mel_bins), Axis("", 5))),
        **_stem("audio_encoder.stem.2.", (width, width, Axis("", 3))),
        "audio_encoder.position": (Axis("", 1), Axis("", config.audio_tokens), width),
        **_resampler("audio_encoder.resampler.", config),
        "text_encoder.embedding.weight": (vocabulary, width),
        "text_encoder.position": (Axis("", 1), Axis("", config.text_length), width),
        **_fusion(config),
        "decoder.embedding.weight": (vocabulary, width),
        "decoder.position.weight": (Axis("", config.cache_length), width),
        **_norm("decoder.norm.", width),
        "decoder.head.weight": (vocabulary, width),
    }
    encoder = _block("attention_norm", "attention", config) | _feed_forward_block()
    fusion = (
        encoder
        | _block("question_norm", "question_attention", config)
        | _block("scene_norm", "scene_attention", config)
    )
    blocks = {
        "vision_layers": encoder,
        "audio_layers": encoder,
        "text_layers": encoder,
        "fusion_layers": fusion,
        "decoder_layers": encoder | _block("cross_norm", "cross_attention", config),
    }
    return (
        *(Weight(name, axes) for name, axes in once.items()),
        *(
            Weight(f"{stacks[stack]}.{name}", axes, stack)
            for stack, tensors in blocks.items()
            for name, axes in tensors.items()
        ),
    )


def _fusion(config: ModelConfig) -> _Tensors:
    width, mixer = Axis(_WIDTH), Axis("mixer_width")
    channels = Axis(_WIDTH, 1, 2 * config.summary_tokens)
    return {
        **_norm("fusion.mixer.norm.", channels),
        **_feed_forward("fusion.mixer.mlp.", channels, mixer),
        "fusion.latents": (Axis("", 1), Axis("", config.latent_tokens), width),
        "fusion.place": (Axis("", 1), Axis("", 4 * config.summary_tokens), width),
        **_norm("fusion.question_norm.", width),
        **_norm("fusion.norm.", width),
    }


def _resampler(prefix: str, config: ModelConfig) -> _Tensors:
    width = Axis(_WIDTH)
    return {
        prefix + "queries": (Axis("", 1), Axis("", config.summary_tokens), width),
        **_norm(prefix + "context_norm.", width),
        **_attention(prefix + "attention.", config),
        **_norm(prefix + "mlp_norm.", width),
        **_feed_forward(prefix + "mlp.", width, Axis(_MLP)),
        **_norm(prefix + "norm.", width),
    }


def _block(norm: str, attention: str, config: ModelConfig) -> _Tensors:
    return {**_norm(f"{norm}.", Axis(_WIDTH)), **_attention(f"{attention}.", config)}


def _feed_forward_block() -> _Tensors:
    return {**_norm("mlp_norm.", Axis(_WIDTH)), **_feed_forward("mlp.", Axis(_WIDTH), Axis(_MLP))}


def _attention(prefix: str, config: ModelConfig) -> _Tensors:
    width, heads = Axis(_WIDTH), Axis(_HEADS, config.head_dim)
    return {
        **_linear(prefix + "query.", heads, width),
        prefix + "key.weight": (heads, width),
        **_linear(prefix + "value.", heads, width),
        **_linear(prefix + "output.", width, heads),
    }


def _feed_forward(prefix: str, width: Axis, hidden: Axis) -> _Tensors:
    return {
        **_linear(prefix + "gate.", hidden, width),
        **_linear(prefix + "up.", hidden, width),
        **_linear(prefix + "down.", width, hidden),
    }


def _linear(prefix: str, out: Axis, into: Axis) -> _Tensors:
    return {prefix + "weight": (out, into), prefix + "bias": (out,)}


def _norm(prefix: str, width: Axis) -> _Tensors:
    return {prefix + "weight": (width,), prefix + "bias": (width,)}


def _stem(prefix: str, kernel: tuple[Axis, ...]) -> _Tensors:
    return {prefix + "weight": kernel, prefix + "bias": kernel[:1]}
