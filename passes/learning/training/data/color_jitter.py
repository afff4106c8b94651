"""Random changes of a picture's colours."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image, ImageEnhance

_HUES = 256
"""Pillow's HSV mode has one byte for the whole colour circle."""


@dataclasses.dataclass(frozen=True)
class ColorJitter:
    """Scales brightness, contrast and saturation, and turns the hue, in this order.

    Attributes:
        brightness: Largest relative change, at full strength.
        contrast: Likewise.
        saturation: Likewise; pictures in grey have none.
        hue: Largest turn, as a share of the colour circle.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __call__(self, value: Image.Image, strength: float, rng: np.random.Generator) -> Image.Image:
        """Returns a picture of the same size; of mode L in mode L, else of mode RGB."""
        picture = value if value.mode == "L" else value.convert("RGB")
        factors = 1 + strength * rng.uniform(-1, 1, 3) * (self.brightness, self.contrast, self.saturation)
        turn = round(strength * self.hue * _HUES * rng.uniform(-1, 1))
        picture = ImageEnhance.Brightness(picture).enhance(float(factors[0]))
        picture = ImageEnhance.Contrast(picture).enhance(float(factors[1]))
        if picture.mode == "L":
            return picture
        return _turn_hue(ImageEnhance.Color(picture).enhance(float(factors[2])), turn)


def _turn_hue(picture: Image.Image, turn: int) -> Image.Image:
    if turn == 0:
        return picture
    hue, saturation, brightness = picture.convert("HSV").split()
    turned = hue.point([(value + turn) % _HUES for value in range(_HUES)])
    return Image.merge("HSV", (turned, saturation, brightness)).convert("RGB")
