"""Higher and lower voices at the same length."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex128]

_FRAME = 512
_HOP = _FRAME // 4
"""Three quarters of overlap keep the squared Hann windows' sum constant."""


def change_pitch(samples: Samples, semitones: float) -> Samples:
    """Stretches with a phase vocoder and plays the result back at the old length.

    Phase vocoder: Flanagan and Golden, 1966; form of Dolson, "The phase vocoder: a tutorial", 1986.

    Args:
        samples: Mono sound; one shorter than a frame of 512 samples is returned as it is.
        semitones: Twelve double every frequency.

    Returns:
        As many samples as came in.
    """
    factor = 2 ** (semitones / 12)
    if len(samples) < _FRAME or factor == 1:
        return samples
    stretched = _stretch(samples.astype(np.float64), factor)
    positions = np.arange(len(samples)) * factor
    return np.asarray(np.interp(positions, np.arange(len(stretched)), stretched), np.float32)


def _stretch(samples: npt.NDArray[np.float64], factor: float) -> npt.NDArray[np.float64]:
    """Returns the sound `factor` times as long, at the same pitch."""
    window = np.hanning(_FRAME + 1)[:-1]
    padded = np.pad(samples, (_FRAME // 2, _FRAME))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::_HOP]
    spectrum = _interpolate(np.fft.rfft(frames * window, axis=1), factor)
    result = np.zeros((len(spectrum) - 1) * _HOP + _FRAME)
    weight = np.zeros_like(result)
    for index, frame in enumerate(np.fft.irfft(spectrum, axis=1)):
        place = slice(index * _HOP, index * _HOP + _FRAME)
        result[place] += frame * window
        weight[place] += window**2
    return np.asarray((result / np.maximum(weight, 1e-8))[_FRAME // 2 :])


def _interpolate(spectrum: Spectrum, factor: float) -> Spectrum:
    """Returns spectra at steps of 1 / factor, with phases that advance as between the frames around each step."""
    steps = np.arange(0, len(spectrum) - 1, 1 / factor)
    before = np.floor(steps).astype(int)
    share = (steps - before)[:, None]
    magnitude = (1 - share) * np.abs(spectrum[before]) + share * np.abs(spectrum[before + 1])
    expected = 2 * np.pi * _HOP * np.arange(spectrum.shape[1]) / _FRAME
    advance = np.angle(spectrum[before + 1]) - np.angle(spectrum[before]) - expected
    advance = expected + np.angle(np.exp(1j * advance))  # the difference, taken into (-π, π]
    phase = np.angle(spectrum[0]) + np.concatenate(
        [np.zeros_like(expected)[None], np.cumsum(advance[:-1], axis=0)]
    )
    return np.asarray(magnitude * np.exp(1j * phase))


@dataclasses.dataclass(frozen=True)
class ChangePitch:
    """Draws the change evenly.

    Attributes:
        semitones: Largest change either way, at full strength.
    """

    semitones: float = 2.0

    def __call__(self, value: Samples, strength: float, rng: np.random.Generator) -> Samples:
        """Returns a sound of the same length."""
        return change_pitch(value, strength * self.semitones * rng.uniform(-1, 1))
