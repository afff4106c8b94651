"""How long, how fast and how precisely to train."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from passes.learning.training.errors import TrainingError

Precision = Literal["float32", "bfloat16", "float16"]


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """Settings of a `Trainer`. Training is bounded by steps, never by the clock, so that it repeats.

    Attributes:
        steps: Updates of the weights.
        learning_rate: Highest; reached after `warmup_steps`, then half a cosine down.
        warmup_steps: Steps of linear increase.
        final_share: Share of `learning_rate` that is left after the last step.
        weight_decay: Of AdamW (decoupled, arXiv 1711.05101), on parameters of two and more dimensions only.
        betas: Of AdamW.
        epsilon: Of AdamW.
        clip_norm: Largest Euclidean norm of the gradient; longer ones are shortened to it.
        accumulation: Batches of the stream that one step averages over, in all processes together.
        precision: What matrix products compute in; weights, gradients and optimizer state are float32 always.
        seed: Of random numbers that the module or the loss draw.
        checkpoints: Folder for checkpoints, or None. A run continues from the newest one in it.
        checkpoint_every: Steps between checkpoints; the last step writes one too.
        keep_checkpoints: How many of the newest stay.

    Raises:
        TrainingError: A value is out of range.
    """

    steps: int
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    final_share: float = 0.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    accumulation: int = 1
    precision: Precision = "float32"
    seed: int = 0
    checkpoints: Path | None = None
    checkpoint_every: int = 100
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "steps": (1, 1 << 40),
            "learning_rate": (0, 1e3),
            "warmup_steps": (0, self.steps),
            "final_share": (0, 1),
            "weight_decay": (0, 1e3),
            "clip_norm": (1e-12, math.inf),
            "accumulation": (1, 1 << 20),
            "seed": (0, (1 << 63) - 1),
            "checkpoint_every": (1, 1 << 40),
            "keep_checkpoints": (1, 1 << 20),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise TrainingError(
                    f"training option {name} is out of range",
                    received=str(getattr(self, name)),
                    remedy=f"give a value from {low:g} to {high:g}",
                )

    def learning_rate_at(self, step: int) -> float:
        """Returns the learning rate of a step: linear warm-up, then half a cosine (arXiv 1608.03983).

        Args:
            step: From 0.
        """
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.learning_rate * (self.final_share + (1 - self.final_share) * cosine)

    def decisive(self) -> Mapping[str, Any]:
        """Returns the settings that decide the result, as JSON: all but where and how often to save."""
        values = dataclasses.asdict(self)
        for name in ("checkpoints", "checkpoint_every", "keep_checkpoints"):
            del values[name]
        return {**values, "betas": list(self.betas)}
