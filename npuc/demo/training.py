"""The training loop of the bundled model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.layers import Pairing
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from npuc.demo.batches import IGNORED, Batch
from npuc.demo.questions import Kind

_DIGITS = 10
_PLACES = 3
_SOUNDS_PER_PICTURE = 8
_RELATIONS = (Kind.SUM, Kind.DIFFERENCE, Kind.LARGER, Kind.SMALLER)

_INITIAL_DEVIATIONS = {"queries": 0.2, "latents": 0.2, "position": 0.05, "embedding": 0.05, "place": 0.05}
"""Standard deviation of the initial values, by a part of the parameter's name; the others keep torch's default."""


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast to learn. Training is bounded by steps, never by the clock, so that it repeats.

    Attributes:
        steps: Number of batches.
        pairs: Picture and sound pairs in a batch.
        variants: Augmented variants of each digit and clip.
        learning_rate: Highest; reached after `warmup` steps, then a half cosine down to zero.
        warmup: Steps of linear increase.
        weight_decay: Of AdamW, on matrices only.
        digit_weight: Share of the digit losses that the encoders and the mixer are taught with directly.
        seed: Of weights, batches and augmentation.
    """

    steps: int = 3000
    pairs: int = 32
    variants: int = 3
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.02
    digit_weight: float = 0.5
    seed: int = 0


class DigitHead(nn.Module):
    """Reads tens and ones off the first two tokens of an encoder's summary; used in training only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.digit = nn.Linear(width, _DIGITS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps a summary [b, n, width] to logits [b, 2, 10]."""
        return self.digit(tokens[:, :2])  # type: ignore[no-any-return]

    def loss(self, tokens: Tensor, numbers: Tensor) -> Tensor:
        """Cross entropy of tens and ones of numbers [b] from 0 to 99."""
        digits = torch.stack([numbers // 10, numbers % 10], dim=1)
        return cross_entropy(self(tokens).flatten(0, 1), digits.flatten())


class RelationHead(nn.Module):
    """Reads sum, difference, larger and smaller number off the relation tokens; used in training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.digit = nn.Linear(channels, len(_RELATIONS) * _PLACES * _DIGITS)

    def loss(self, relation: Tensor, shown: Tensor, said: Tensor) -> Tensor:
        """Cross entropy of the digits of every relation between numbers [b], from tokens [b, m, width]."""
        related = (shown + said, (shown - said).abs(), torch.maximum(shown, said), torch.minimum(shown, said))
        digits = torch.stack(
            [value // 10**place % 10 for value in related for place in range(_PLACES)], dim=1
        )
        logits = self.digit(relation.flatten(1)).reshape(-1, _DIGITS)
        return cross_entropy(logits, digits.flatten())


class DigitHeads(nn.Module):
    """Heads for the number shown, the number said, and what relates them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.shown = DigitHead(config.width)
        self.said = DigitHead(config.width)
        self.relation = RelationHead(2 * config.summary_tokens * config.width)


@dataclasses.dataclass(frozen=True)
class StepReport:
    """Losses (nats) of one step: of the answers' tokens, of the digits in picture and sound, of their relations."""

    step: int
    answer: float
    shown: float
    said: float
    relation: float


def build_model(config: ModelConfig, seed: int) -> MultiModalTransformer:
    """Makes a model with seeded weights."""
    torch.manual_seed(seed)
    model = MultiModalTransformer(config)
    for name, parameter in model.named_parameters():
        deviation = next((value for part, value in _INITIAL_DEVIATIONS.items() if part in name), None)
        if deviation is not None:
            nn.init.normal_(parameter, std=deviation)
    return model


def train_model(
    model: MultiModalTransformer,
    batches: Iterable[Batch],
    settings: TrainingSettings,
    report: Callable[[StepReport], None],
) -> None:
    """Trains a model in place.

    Args:
        model: With fresh or earlier weights.
        batches: At least `settings.steps` batches.
        settings: How long and how fast.
        report: Called after every step.
    """
    heads = DigitHeads(model.config)
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, heads, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
    model.train()
    for step, batch in zip(range(settings.steps), batches, strict=False):
        losses = batch_losses(model, heads, batch)
        optimizer.zero_grad()
        (losses[0] + settings.digit_weight * torch.stack(losses[1:]).sum()).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*model.parameters(), *heads.parameters()], 1.0)
        optimizer.step()
        schedule.step()
        report(StepReport(step, *(loss.item() for loss in losses)))
    model.eval()


def batch_losses(
    model: MultiModalTransformer, heads: DigitHeads, batch: Batch
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns the losses of the answers, of the digits shown, of the digits said, and of the relations."""
    text_mask = torch.from_numpy(batch.question_masks)
    vision = model.vision_encoder(torch.from_numpy(batch.pixels))
    audio = model.audio_encoder(torch.from_numpy(batch.mel))
    text = model.text_encoder(torch.from_numpy(batch.question_ids), text_mask)
    pairing = Pairing(torch.from_numpy(batch.question), torch.from_numpy(batch.pair))
    memory = model.fusion(vision, audio, text, text_mask, pairing)
    logits = model.decode_all(torch.from_numpy(batch.inputs), memory)
    answer = cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten(), ignore_index=IGNORED
    )
    shown, said = torch.from_numpy(batch.shown), torch.from_numpy(batch.said)
    relation = _relation_loss(model, heads, vision, audio, shown, said)
    return answer, heads.shown.loss(vision, shown), heads.said.loss(audio, said), relation


def _relation_loss(
    model: MultiModalTransformer,
    heads: DigitHeads,
    vision: Tensor,
    audio: Tensor,
    shown: Tensor,
    said: Tensor,
) -> Tensor:
    """Relates every picture of the batch to several of its sounds: many examples for the price of P encodings."""
    count = len(shown)
    left = torch.arange(count).repeat(_SOUNDS_PER_PICTURE)
    right = (left + torch.arange(_SOUNDS_PER_PICTURE).repeat_interleave(count)) % count
    relation = model.fusion.mixer(torch.cat([vision[left], audio[right]], dim=1))
    return heads.relation.loss(relation, shown[left], said[right])


def learning_rate_factor(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    progress = (step - settings.warmup) / max(1, settings.steps - settings.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _parameter_groups(model: nn.Module, heads: nn.Module, weight_decay: float) -> Iterator[dict[str, object]]:
    parameters = [*model.parameters(), *heads.parameters()]
    yield {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay}
    yield {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}
