"""MultiModalTransformer: answers a question on a picture and a sound, digit by digit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    FusionBlock,
    Pairing,
    Resampler,
    repeat_rows,
)

KeyValue = tuple[Tensor, Tensor]


class VisionEncoder(nn.Module):
    """Convolution stem (one token for each 8 × 8 pixels), then transformer blocks, then a summary."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv2d(32, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
        )
        self.position = nn.Parameter(torch.zeros(1, config.vision_tokens, width))
        self.blocks = _blocks(config, config.vision_layers)
        self.resampler = _resampler(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """Maps pixels [b, 1, height, width] to a summary [b, summary_tokens, width]."""
        tokens = self.stem(pixels).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.resampler(tokens)  # type: ignore[no-any-return]


class AudioEncoder(nn.Module):
    """Convolution stem (one token for every 4 frames), then transformer blocks, then a summary."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv1d(config.mel_bins, width, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
        )
        self.position = nn.Parameter(torch.zeros(1, config.audio_tokens, width))
        self.blocks = _blocks(config, config.audio_layers)
        self.resampler = _resampler(config)

    def forward(self, mel: Tensor) -> Tensor:
        """Maps a log-mel spectrogram [b, mel_bins, audio_frames] to a summary [b, summary_tokens, width]."""
        tokens = self.stem(mel).transpose(1, 2) + self.position
        for block in self.blocks:
            tokens = block(tokens)
        return self.resampler(tokens)  # type: ignore[no-any-return]


class TextEncoder(nn.Module):
    """Word and position embeddings, then transformer blocks."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.position = nn.Parameter(torch.zeros(1, config.text_length, config.width))
        self.blocks = _blocks(config, config.text_layers)

    def forward(self, token_ids: Tensor, text_mask: Tensor) -> Tensor:
        """Maps ids [b, text_length] to tokens [b, text_length, width]; the additive mask is [b, 1, 1, text_length]."""
        tokens = self.embedding(token_ids) + self.position
        for block in self.blocks:
            tokens = block(tokens, text_mask)
        return tokens  # type: ignore[no-any-return]


class SceneMixer(nn.Module):
    """Relates picture and sound: one gated layer over all their summary tokens at once, as in an MLP-Mixer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        channels = 2 * config.summary_tokens * config.width
        self.norm = nn.LayerNorm(channels)
        self.mlp = FeedForward(channels, config.mixer_width)

    def forward(self, scene: Tensor) -> Tensor:
        """Maps summaries [b, m, width] of picture and sound to relation tokens of the same shape."""
        mixed = scene.reshape(len(scene), 1, -1)
        return (mixed + self.mlp(self.norm(mixed))).reshape(scene.shape)  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """A few latent tokens gather what the question asks for from picture and sound, by cross-modal attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.mixer = SceneMixer(config)
        self.latents = nn.Parameter(torch.zeros(1, config.latent_tokens, config.width))
        self.place = nn.Parameter(torch.zeros(1, 4 * config.summary_tokens, config.width))
        self.question_norm = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(
            FusionBlock(config.width, config.heads, config.mlp_width) for _ in range(config.fusion_layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(
        self, vision: Tensor, audio: Tensor, text: Tensor, text_mask: Tensor, pairing: Pairing | None = None
    ) -> Tensor:
        """Returns the memory [b, latent_tokens, width] that the decoder reads; arguments as `FusionBlock`."""
        summaries = torch.cat([vision, audio], dim=1)
        scene = torch.cat([summaries, self.mixer(summaries)], dim=1) + self.place
        question = self.question_norm(text)
        rows = len(scene) if pairing is None else len(pairing.scene)
        latents = repeat_rows(self.latents, rows)
        for block in self.blocks:
            latents = block(latents, question, text_mask, scene, pairing)
        return self.norm(latents)  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Autoregressive answer decoder with a static key-value cache."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.position = nn.Embedding(config.cache_length, config.width)
        self.blocks = nn.ModuleList(
            DecoderBlock(config.width, config.heads, config.mlp_width) for _ in range(config.decoder_layers)
        )
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)

    def forward(
        self,
        token_ids: Tensor,
        position: Tensor,
        past: Sequence[KeyValue],
        mask: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, list[KeyValue]]:
        """Runs S answer tokens.

        Args:
            token_ids: [b, S].
            position: [S], place of each token in the answer.
            past: Cache of each layer, [b, heads, C, head_dim] for keys and for values.
            mask: Additive, [1, 1, S, C + S].
            memory: [b, latent_tokens, width].

        Returns:
            Logits [b, S, vocab], and the new rows [b, heads, S, head_dim] of each layer's cache.
        """
        tokens = self.embedding(token_ids) + self.position(position)
        new_rows = []
        for block, layer_past in zip(self.blocks, past, strict=True):
            tokens, rows = block(tokens, layer_past, mask, memory)
            new_rows.append(rows)
        return self.head(self.norm(tokens)), new_rows


class MultiModalTransformer(nn.Module):
    """Three encoders, cross-modal fusion, and an autoregressive decoder."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_encoder = VisionEncoder(config)
        self.audio_encoder = AudioEncoder(config)
        self.text_encoder = TextEncoder(config)
        self.fusion = Fusion(config)
        self.decoder = Decoder(config)

    def decode_all(self, answer_ids: Tensor, memory: Tensor) -> Tensor:
        """Teacher forcing: logits [b, S, vocab] after each prefix of answers [b, S], without a cache."""
        batch, length = answer_ids.shape
        empty = memory.new_zeros(batch, self.config.heads, 0, self.config.head_dim)
        past = [(empty, empty)] * self.config.decoder_layers
        causal = torch.triu(torch.full((length, length), -1e4), diagonal=1)[None, None]
        position = torch.arange(length)
        logits, _ = self.decoder(answer_ids, position, past, causal, memory)
        return logits  # type: ignore[no-any-return]


def _resampler(config: ModelConfig) -> Resampler:
    return Resampler(config.summary_tokens, config.width, config.heads, config.mlp_width)


def _blocks(config: ModelConfig, count: int) -> nn.ModuleList:
    return nn.ModuleList(EncoderBlock(config.width, config.heads, config.mlp_width) for _ in range(count))
