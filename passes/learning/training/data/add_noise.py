"""White noise at a given signal-to-noise ratio."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def add_noise(samples: Samples, signal_to_noise: float, rng: np.random.Generator) -> Samples:
    """Adds white Gaussian noise; its power is measured and scaled, so that the ratio is met exactly.

    The result is not limited to [-1, 1], which would change the ratio.

    Args:
        samples: Mono sound of any level; silence is returned as it is.
        signal_to_noise: 10 log10(mean samples² / mean noise²), dB.
        rng: Source of the noise.
    """
    noise = rng.standard_normal(samples.shape)
    signal_power, noise_power = float(np.mean(np.square(samples, dtype=np.float64))), float(np.mean(noise**2))
    if signal_power == 0:
        return samples
    wanted = signal_power / 10 ** (signal_to_noise / 10)
    return np.asarray(samples + noise * np.sqrt(wanted / noise_power), np.float32)


@dataclasses.dataclass(frozen=True)
class AddNoise:
    """Adds noise at a ratio drawn evenly (in dB) from a range that widens downwards with the strength.

    Attributes:
        quietest: Ratio at strength 0, dB.
        loudest: Lowest ratio at full strength, dB.
    """

    quietest: float = 40.0
    loudest: float = 5.0

    def __call__(self, value: Samples, strength: float, rng: np.random.Generator) -> Samples:
        """Returns a sound of the same length."""
        lowest = self.quietest + strength * (self.loudest - self.quietest)
        return add_noise(value, rng.uniform(lowest, self.quietest), rng)
