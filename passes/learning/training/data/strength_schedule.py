"""How strong augmentation is at each step of training."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from passes.learning.training.errors import TrainingError

Shape = Literal["linear", "cosine"]


@dataclasses.dataclass(frozen=True)
class StrengthSchedule:
    """Strength from 0 (nothing is changed) to 1, held before the first and after the last step of its ramp.

    Attributes:
        start: Strength up to `first_step`.
        end: Strength from `last_step` on.
        first_step: Where the ramp begins.
        last_step: Where it ends; equal to `first_step`, the strength jumps from `start` to `end` there.
        shape: `linear`, or half a cosine.

    Raises:
        TrainingError: A strength is outside [0, 1], or the steps are in the wrong order.
    """

    start: float = 1.0
    end: float = 1.0
    first_step: int = 0
    last_step: int = 0
    shape: Shape = "linear"

    def __post_init__(self) -> None:
        if not (0 <= self.start <= 1 and 0 <= self.end <= 1 and 0 <= self.first_step <= self.last_step):
            raise TrainingError(
                "the strength schedule is out of range",
                received=str(dataclasses.asdict(self)),
                remedy="give strengths from 0 to 1, and a last step that does not come before the first",
            )

    def strength(self, step: int) -> float:
        """Returns the strength at a step, counted from 0."""
        if step < self.first_step:
            return self.start
        if step >= self.last_step:
            return self.end
        progress = (step - self.first_step) / (self.last_step - self.first_step)
        if self.shape == "cosine":
            progress = 0.5 - 0.5 * math.cos(math.pi * progress)
        return self.start + (self.end - self.start) * progress


OFF = StrengthSchedule(0.0, 0.0)
"""Switches a modality's augmentation off."""
