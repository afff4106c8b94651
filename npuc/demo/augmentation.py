"""Random changes of the training data that leave its meaning alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from npuc.demo.digits import SIDE
from npuc.demo.examples import MAX_LEAD_SECONDS
from npuc.demo.speech import SAMPLE_RATE

_MAX_ROTATION = 0.2
_MAX_SHEAR = 0.2
_SCALES = (0.85, 1.12)
_GAINS = (0.3, 1.5)
_SIGNAL_TO_NOISE = (15.0, 45.0)


def warp_digit(digit: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Rotates (radians), shears and scales a digit [28, 28] about its centre."""
    angle, shear = rng.uniform(-_MAX_ROTATION, _MAX_ROTATION), rng.uniform(-_MAX_SHEAR, _MAX_SHEAR)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.array([[1, shear], [0, 1]]) / rng.uniform(*_SCALES, (2, 1))
    centre = np.full(2, (SIDE - 1) / 2)
    shift = centre - matrix @ centre
    coefficients = (*matrix[0], shift[0], *matrix[1], shift[1])
    picture = Image.fromarray(digit)
    warped = picture.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, tuple(map(float, coefficients)), Image.Resampling.BILINEAR
    )
    return np.asarray(warped)


def vary_clip(samples: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Changes loudness, adds silence before, pitches by playing up to 8 % faster or slower, adds white noise."""
    speed = rng.uniform(0.92, 1.08)
    positions = np.arange(0, len(samples) - 1, speed)
    played = np.interp(positions, np.arange(len(samples)), samples)
    lead = int(rng.uniform(0, 1.5 * MAX_LEAD_SECONDS) * SAMPLE_RATE)
    varied = np.pad(played, (lead, int(rng.integers(0, lead + 1)))) * rng.uniform(*_GAINS)
    if rng.random() < 0.5:
        level = np.sqrt(np.mean(varied**2)) * 10 ** (-rng.uniform(*_SIGNAL_TO_NOISE) / 20)
        varied = varied + rng.normal(size=varied.shape) * level
    return np.clip(varied, -1, 1).astype(np.float32)


def mask_spectrogram(mel: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Blanks a few frames and bins of spectrograms [b, bins, frames] in place (SpecAugment, Park et al., 2019)."""
    batch, bins, frames = mel.shape
    for i in range(batch):
        low, start = int(rng.integers(0, bins - 4)), int(rng.integers(0, frames - 6))
        mel[i, low : low + int(rng.integers(0, 5))] = 0.0
        mel[i, :, start : start + int(rng.integers(0, 7))] = 0.0
