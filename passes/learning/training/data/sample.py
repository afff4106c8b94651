"""One entry of a data set: where its files are, and what they hold once read."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

MODALITIES = ("image", "audio", "text")
"""What an example can consist of."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """An entry whose files are not read yet.

    Attributes:
        image: Picture file, checked to lie inside the data set's folder.
        audio: PCM WAV file, likewise.
        text: Caption or question.
        answer: Expected reply, where there is one.
        label: Class, where there is one.
    """

    image: Path | None = None
    audio: Path | None = None
    text: str | None = None
    answer: str | None = None
    label: str | None = None


@dataclasses.dataclass(frozen=True)
class Example:
    """An entry as training uses it. Its picture, sound and text belong together: they are each other's positives.

    Attributes:
        image: RGB picture.
        samples: Mono sound in [-1, 1].
        sample_rate: Of `samples`, in Hz; 0 without a sound.
        text: Caption or question.
        answer: Expected reply.
        label: Class.
    """

    image: Image.Image | None = None
    samples: npt.NDArray[np.float32] | None = None
    sample_rate: int = 0
    text: str | None = None
    answer: str | None = None
    label: str | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Which of `MODALITIES` the example has."""
        values = (self.image, self.samples, self.text)
        return tuple(name for name, value in zip(MODALITIES, values, strict=True) if value is not None)
