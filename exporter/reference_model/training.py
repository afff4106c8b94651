"""The training loop of the reference model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from exporter.reference_model.batches import IGNORED, Batch
from exporter.reference_model.config import ModelConfig
from exporter.reference_model.model import MultiModalTransformer

_DIGITS = 10

_INITIAL_DEVIATIONS = {"queries": 0.2, "position": 0.05, "embedding": 0.05, "modality": 0.05}
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
        digit_weight: Share of the digit loss that the encoders are taught with directly.
        seed: Of weights, batches and augmentation.
    """

    steps: int = 3000
    pairs: int = 64
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


class DigitHeads(nn.Module):
    """One head for the number shown, one for the number said."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shown = DigitHead(width)
        self.said = DigitHead(width)


@dataclasses.dataclass(frozen=True)
class StepReport:
    """Losses (nats) after one step: of the answers' tokens, and of the digits in picture and sound."""

    step: int
    answer: float
    shown: float
    said: float


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
    heads = DigitHeads(model.config.width)
    optimizer = torch.optim.AdamW(
        _parameter_groups(model, heads, settings.weight_decay), lr=settings.learning_rate, betas=(0.9, 0.98)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, settings))
    model.train()
    for step, batch in zip(range(settings.steps), batches, strict=False):
        answer, shown, said = batch_losses(model, heads, batch)
        optimizer.zero_grad()
        (answer + settings.digit_weight * (shown + said)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([*model.parameters(), *heads.parameters()], 1.0)
        optimizer.step()
        schedule.step()
        report(StepReport(step, answer.item(), shown.item(), said.item()))
    model.eval()


def batch_losses(
    model: MultiModalTransformer, heads: DigitHeads, batch: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the loss of the answers, of the digits shown and of the digits said."""
    text_mask = torch.from_numpy(batch.question_masks)
    vision = model.vision_encoder(torch.from_numpy(batch.pixels))
    audio = model.audio_encoder(torch.from_numpy(batch.mel))
    text = model.text_encoder(torch.from_numpy(batch.question_ids), text_mask)
    memory = model.fusion(vision, audio, text, text_mask)
    logits = model.decode_all(torch.from_numpy(batch.inputs), memory, text_mask)
    answer = cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(batch.targets).flatten(), ignore_index=IGNORED
    )
    shown = heads.shown.loss(vision, torch.from_numpy(batch.shown))
    said = heads.said.loss(audio, torch.from_numpy(batch.said))
    return answer, shown, said


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
