"""Faster and slower speech, as a tape played at another speed."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

Samples = npt.NDArray[np.float32]

_LARGEST_FACTOR = 100
"""Of the polyphase filter; speeds are met to 0.01 %."""


def change_speed(samples: Samples, speed: float) -> Samples:
    """Resamples, so that the sound is 1 / speed as long and its pitch speed times as high.

    Args:
        samples: Mono sound.
        speed: Above 0; 1.1 is a tenth faster.

    Returns:
        ceil(len(samples) / speed) samples, for the nearest fraction of at most two digits.
    """
    ratio = Fraction(1 / speed).limit_denominator(_LARGEST_FACTOR)
    if ratio == 1:
        return samples
    return np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator), np.float32)


@dataclasses.dataclass(frozen=True)
class ChangeSpeed:
    """Speed perturbation (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015).

    Attributes:
        change: Largest relative change of the speed, at full strength.
    """

    change: float = 0.1

    def __call__(self, value: Samples, strength: float, rng: np.random.Generator) -> Samples:
        """Returns a sound of another length."""
        return change_speed(value, 1 + strength * self.change * rng.uniform(-1, 1))
