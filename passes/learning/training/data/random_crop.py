"""Random crop of a picture."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from PIL import Image


@dataclasses.dataclass(frozen=True)
class RandomCrop:
    """Cuts a random part out and scales it back to the picture's size.

    Area and aspect ratio are drawn as for Inception (Szegedy et al., "Going deeper with convolutions", 2015,
    section 6).

    Attributes:
        least_area: Smallest share of the area that is kept, at full strength.
        aspect: Largest factor by which the aspect ratio changes either way, at full strength.
    """

    least_area: float = 0.5
    aspect: float = 4 / 3

    def __call__(self, value: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
        """Returns a picture of the same size and mode."""
        area = value.width * value.height * rng.uniform(1 - strength * (1 - self.least_area), 1)
        ratio = value.width / value.height * math.exp(strength * math.log(self.aspect) * rng.uniform(-1, 1))
        width = min(value.width, max(1, round(math.sqrt(area * ratio))))
        height = min(value.height, max(1, round(math.sqrt(area / ratio))))
        left = int(rng.integers(value.width - width + 1))
        top = int(rng.integers(value.height - height + 1))
        box = (left, top, left + width, top + height)
        return value.resize(value.size, Image.Resampling.BILINEAR, box=box)
