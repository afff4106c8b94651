"""Applies augmentations to examples, each modality with its own switch and schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from passes.learning.training.data.sample import Example
from passes.learning.training.data.strength_schedule import StrengthSchedule

Value = TypeVar("Value")
Samples = npt.NDArray[np.float32]


class Augmentation(Protocol[Value]):
    """A random change that leaves the meaning alone."""

    def __call__(self, value: Value, strength: float, rng: np.random.Generator) -> Value:
        """Returns a changed copy.

        Args:
            value: Picture, text or sound; not changed itself.
            strength: From 0, which changes nothing, to 1.
            rng: Source of every choice.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Augmenter:
    """The augmentations of a training run; a modality without any is left alone.

    Attributes:
        image: For pictures, in order.
        audio: For sounds, in order.
        text: For texts, in order. Answers and labels are never changed.
        schedules: Modality → strength over the steps; full strength where there is none.
    """

    image: Sequence[Augmentation[Image.Image]] = ()
    audio: Sequence[Augmentation[Samples]] = ()
    text: Sequence[Augmentation[str]] = ()
    schedules: Mapping[str, StrengthSchedule] = dataclasses.field(default_factory=dict)

    def __call__(self, example: Example, step: int, rng: np.random.Generator) -> Example:
        """Changes one example.

        Args:
            example: Stays as it is.
            step: Step of training, from 0.
            rng: Source of every choice; the same generator state gives the same result.
        """
        return dataclasses.replace(
            example,
            image=_apply(self.image, example.image, self._strength("image", step), rng),
            samples=_apply(self.audio, example.samples, self._strength("audio", step), rng),
            text=_apply(self.text, example.text, self._strength("text", step), rng),
        )

    def _strength(self, modality: str, step: int) -> float:
        return self.schedules.get(modality, StrengthSchedule()).strength(step)


def _apply(
    augmentations: Sequence[Augmentation[Value]],
    value: Value | None,
    strength: float,
    rng: np.random.Generator,
) -> Value | None:
    if value is None or strength == 0:
        return value
    for augmentation in augmentations:
        value = augmentation(value, strength, rng)
    return value
