"""The parts of MultiModalTransformer as torch modules with flat, static-shape inputs and outputs."""

from __future__ import annotations

import onnx_ir as ir
from torch import Tensor, nn

from exporter.capture import Capture
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.model import Decoder, MultiModalTransformer
from exporter.modality import ModalityRule
from program.program import Modality, Role, TensorSpec


class DecodeStep(nn.Module):
    """One step of the decoder, with the cache as separate tensors."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self,
        token_id: Tensor,
        position: Tensor,
        mask: Tensor,
        memory: Tensor,
        *past: Tensor,
    ) -> tuple[Tensor, ...]:
        """Returns logits [1, vocab] and the new rows, key before value, layer by layer.

        Args:
            token_id: [1, 1].
            position: [1].
            mask: Additive, [1, 1, 1, C + 1].
            memory: [1, latent_tokens, width].
            past: Key and value caches, layer by layer, [1, heads, C, head_dim] each.
        """
        layers = list(zip(past[::2], past[1::2], strict=True))
        logits, new_rows = self.decoder(token_id, position, layers, mask, memory)
        return logits[:, 0], *(tensor for rows in new_rows for tensor in rows)


def component_modules(model: MultiModalTransformer) -> dict[str, tuple[nn.Module, str]]:
    """Returns, by component name, the module and the prefix of its parameters in the checkpoint."""
    return {
        "vision_encoder": (model.vision_encoder, "vision_encoder."),
        "audio_encoder": (model.audio_encoder, "audio_encoder."),
        "text_encoder": (model.text_encoder, "text_encoder."),
        "fusion": (model.fusion, "fusion."),
        "decode": (DecodeStep(model.decoder), ""),
    }


def component_captures(config: ModelConfig, dtype: ir.DataType) -> tuple[Capture, ...]:
    """Returns names, roles and shapes of the components, in the order of execution.

    Args:
        config: Dimensions.
        dtype: Element type of the floating inputs.
    """
    text_ids = TensorSpec("token_ids", ir.DataType.INT64, (1, config.text_length))
    text_mask = TensorSpec("text_mask", dtype, (1, 1, 1, config.text_length))
    pixels = TensorSpec("pixels", dtype, (1, 1, config.image_height, config.image_width))
    mel = TensorSpec("mel", dtype, (1, config.mel_bins, config.audio_frames))
    vision = TensorSpec("vision_summary", dtype, (1, config.summary_tokens, config.width))
    audio = TensorSpec("audio_summary", dtype, (1, config.summary_tokens, config.width))
    text = TensorSpec("text_tokens", dtype, (1, config.text_length, config.width))
    senses = (vision, audio, text, text_mask)
    return (
        Capture("vision_encoder", Role.VISION_ENCODER, Modality.VISION, (pixels,), (vision.name,)),
        Capture("audio_encoder", Role.AUDIO_ENCODER, Modality.AUDIO, (mel,), (audio.name,)),
        Capture("text_encoder", Role.TEXT_ENCODER, Modality.TEXT, (text_ids, text_mask), (text.name,)),
        Capture("fusion", Role.FUSION, Modality.FUSION, senses, ("memory",)),
        _decode_capture(config, dtype),
    )


def _decode_capture(config: ModelConfig, dtype: ir.DataType) -> Capture:
    layers = range(config.decoder_layers)
    kinds = [(kind, layer) for layer in layers for kind in ("key", "value")]
    cache_shape = (1, config.heads, config.cache_length, config.head_dim)
    inputs = (
        TensorSpec("token_id", ir.DataType.INT64, (1, 1)),
        TensorSpec("position", ir.DataType.INT64, (1,)),
        TensorSpec("mask", dtype, (1, 1, 1, config.cache_length + 1)),
        TensorSpec("memory", dtype, (1, config.latent_tokens, config.width)),
        *(TensorSpec(f"past_{kind}_{layer}", dtype, cache_shape) for kind, layer in kinds),
    )
    outputs = ("logits", *(f"new_{kind}_{layer}" for kind, layer in kinds))
    # what the decoder reads from the memory is a mixture of all three modalities
    rules = (ModalityRule(r"cross_(attention|norm)", Modality.FUSION),)
    return Capture("decode", Role.DECODE, Modality.TEXT, inputs, outputs, rules)
