"""Dimensions of the bundled model, as they stand in its config.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from exporter.errors import SourceError

MODEL_TYPE = "multimodal_transformer"
ARCHITECTURE = "MultiModalTransformer"

_MAX_DIMENSION = 1 << 20


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Dimensions and token ids.

    Attributes:
        width: Channels of every token, in all parts of the model.
        heads: Attention heads; each has width / heads channels.
        mlp_width: Hidden channels of the feed-forward layers.
        vision_layers: Transformer blocks after the image stem; the other `…_layers` likewise.
        summary_tokens: Tokens that picture and sound are summed up in, each.
        mixer_width: Hidden channels of the layer that relates picture and sound.
        latent_tokens: Tokens that the fusion hands to the decoder.
        image_height: In pixels, a multiple of 8.
        image_width: In pixels, a multiple of 8.
        mel_bins: Rows of the log-mel spectrogram.
        audio_frames: Columns of it, a multiple of 4.
        text_length: Tokens of the padded question.
        cache_length: Rows of the key-value cache, the longest answer with its start and end token.
        vocab_size: Of questions and answers together.
        pad_token_id: Fills the question up.
        bos_token_id: Starts the answer.
        eos_token_id: Ends it.
    """

    width: int
    heads: int
    mlp_width: int
    vision_layers: int
    audio_layers: int
    text_layers: int
    summary_tokens: int
    mixer_width: int
    latent_tokens: int
    fusion_layers: int
    decoder_layers: int
    image_height: int
    image_width: int
    mel_bins: int
    audio_frames: int
    text_length: int
    cache_length: int
    vocab_size: int
    pad_token_id: int
    bos_token_id: int
    eos_token_id: int

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.width // self.heads

    @property
    def layers(self) -> int:
        """Of all parts together."""
        values = dataclasses.asdict(self)
        return sum(int(value) for name, value in values.items() if name.endswith("_layers"))

    @property
    def vision_tokens(self) -> int:
        """Tokens the image stem makes: one for each 8 × 8 pixels."""
        return (self.image_height // 8) * (self.image_width // 8)

    @property
    def audio_tokens(self) -> int:
        """Tokens the audio stem makes: one for every 4 frames."""
        return self.audio_frames // 4

    def to_json(self) -> dict[str, Any]:
        """Returns the content of config.json."""
        return {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelConfig:
        """Reads config.json.

        Raises:
            SourceError: A dimension is missing, not a positive integer, or does not fit the others.
        """
        values = {field.name: _read_dimension(document, field.name) for field in dataclasses.fields(cls)}
        config = cls(**values)
        for fault, holds in config._requirements():
            if not holds:
                raise SourceError(
                    "The dimensions in config.json do not fit together.", where="config.json", received=fault
                )
        return config

    def _requirements(self) -> list[tuple[str, bool]]:
        ids = (self.pad_token_id, self.bos_token_id, self.eos_token_id)
        return [
            (f"width {self.width} is not a multiple of heads {self.heads}", self.width % self.heads == 0),
            (f"image_height {self.image_height} is not a multiple of 8", self.image_height % 8 == 0),
            (f"image_width {self.image_width} is not a multiple of 8", self.image_width % 8 == 0),
            (f"audio_frames {self.audio_frames} is not a multiple of 4", self.audio_frames % 4 == 0),
            (f"a token id of {ids} is not below vocab_size {self.vocab_size}", max(ids) < self.vocab_size),
        ]


def _read_dimension(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    lowest = 0 if name.endswith("_token_id") else 1
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= _MAX_DIMENSION:
        raise SourceError(
            "A dimension is missing or out of range.",
            where=f"config.json: {name}",
            received=repr(value),
            remedy=f"give an integer from {lowest} to {_MAX_DIMENSION}",
        )
    return value
