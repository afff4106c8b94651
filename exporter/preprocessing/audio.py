"""Sound to log-mel spectrograms in numpy, for training and for run time alike."""

from __future__ import annotations

import dataclasses
import functools
import math
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exporter.errors import SourceError

Samples = npt.NDArray[np.float32]

_PCM_REMEDY = "convert it to uncompressed PCM: ffmpeg -i INPUT -ac 1 -c:a pcm_s16le OUTPUT.wav"


MAX_RATE = 384_000
"""Hz; the filter of a change of rate is as long as the rates have no factor in common."""


def read_wav(path: Path, max_seconds: float = 60.0) -> tuple[Samples, int]:
    """Reads an uncompressed WAV file of 8, 16, 24 or 32 bits a sample.

    Args:
        path: The file.
        max_seconds: Longest duration accepted; checked before anything is allocated.

    Returns:
        Mono samples (channels averaged) in [-1, 1), and the sample rate in Hz.

    Raises:
        SourceError: The file is unreadable, compressed, empty or too long.
    """
    if not path.is_file():
        raise SourceError("The sound file does not exist.", where=str(path), remedy="check the path")
    try:
        with wave.open(str(path), "rb") as reader:
            _check_duration(path, reader.getnframes(), reader.getframerate(), max_seconds)
            data = reader.readframes(reader.getnframes())
            width, channels, rate = reader.getsampwidth(), reader.getnchannels(), reader.getframerate()
    except (
        OSError,
        EOFError,
        RuntimeError,
        wave.Error,
    ) as error:  # RuntimeError: a chunk ends outside the file
        raise SourceError(
            "The sound cannot be read.", where=str(path), received=str(error) or "no data", remedy=_PCM_REMEDY
        ) from error
    samples = _decode_pcm(data[: len(data) // (width * channels) * width * channels], width)
    if samples.size == 0:
        raise SourceError("The sound is empty.", where=str(path), received="0 samples", remedy=_PCM_REMEDY)
    return np.asarray(samples.reshape(-1, channels).mean(axis=1), np.float32), rate


def _check_duration(path: Path, frames: int, rate: int, max_seconds: float) -> None:
    if rate > MAX_RATE:
        raise SourceError(
            "The sample rate is higher than any that sound is recorded with.",
            where=str(path),
            received=f"{rate} Hz",
            remedy=f"resample it to {MAX_RATE} Hz or less",
        )
    if rate <= 0 or frames > rate * max_seconds:
        raise SourceError(
            "The sound is too long.",
            where=str(path),
            received=f"{frames} samples at {rate} Hz",
            remedy=f"cut it to {max_seconds:g} s",
        )


def _decode_pcm(data: bytes, width: int) -> Samples:
    """Integer PCM, little endian; 8 bits are unsigned, the rest signed (WAVE format specification)."""
    if width == 1:
        return np.asarray((np.frombuffer(data, np.uint8) - 128.0) / 128, np.float32)
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (padded.view("<i4").reshape(-1) / 2.0**31).astype(np.float32)
    if width in (2, 4):
        return (np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)
    raise SourceError(
        "The sound's sample width is not supported.", received=f"{8 * width} bits", remedy=_PCM_REMEDY
    )


def resample(samples: Samples, source_rate: int, target_rate: int) -> Samples:
    """Changes the sample rate with a polyphase filter.

    Args:
        samples: Mono samples.
        source_rate: Of `samples`, in Hz.
        target_rate: Wanted, in Hz.

    Raises:
        SourceError: A rate is not positive.
    """
    if source_rate <= 0 or target_rate <= 0:
        raise SourceError(
            "A sample rate must be positive.",
            where="resampling",
            received=f"{source_rate} Hz to {target_rate} Hz",
            remedy="state the sample rate of the sound",
        )
    if source_rate == target_rate:
        return samples.astype(np.float32, copy=False)
    from scipy.signal import resample_poly  # sound in the rate that the model wants needs no scipy

    divisor = math.gcd(source_rate, target_rate)
    resampled = resample_poly(samples.astype(np.float64), target_rate // divisor, source_rate // divisor)
    return np.asarray(resampled, np.float32)


@dataclasses.dataclass(frozen=True)
class LogMel:
    """Log-mel spectrogram of a fixed number of frames, as Whisper computes it.

    Power spectrum of centred, Hann-windowed frames (reflected at the ends), Slaney mel filters, log10, floor 8 below
    the maximum, then (x + 4) / 4. With the defaults the result equals Hugging Face's `WhisperFeatureExtractor`.

    Attributes:
        sample_rate: Expected by the model, in Hz; other rates are resampled.
        n_fft: Samples in a frame.
        hop_length: Samples between frames.
        mel_bins: Filters.
        max_samples: Samples the sound is padded or cut to; frames = max_samples // hop_length.
    """

    sample_rate: int = 16000
    n_fft: int = 400
    hop_length: int = 160
    mel_bins: int = 80
    max_samples: int = 480000

    @property
    def frames(self) -> int:
        """Number of frames of every result."""
        return self.max_samples // self.hop_length

    def __call__(self, samples: Samples, sample_rate: int) -> npt.NDArray[np.float32]:
        """Computes the spectrogram.

        Args:
            samples: Mono, in [-1, 1]; the end beyond `max_samples` is cut.
            sample_rate: Of `samples`, in Hz.

        Returns:
            [mel_bins, frames] float32.
        """
        window = np.zeros(self.max_samples, np.float64)
        kept = resample(samples, sample_rate, self.sample_rate)[: self.max_samples]
        window[: len(kept)] = kept
        power = self._power_spectrum(window)
        mel = np.log10(np.maximum(self._filters @ power, 1e-10))
        return np.asarray((np.maximum(mel, mel.max() - 8.0) + 4.0) / 4.0, np.float32)

    def _power_spectrum(self, samples: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        padded = np.pad(samples, self.n_fft // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop_length]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.n_fft) / self.n_fft)
        spectrum = np.fft.rfft(frames[: self.frames] * hann, axis=1)
        return np.asarray(np.abs(spectrum).T ** 2)

    @property
    def _filters(self) -> npt.NDArray[np.float64]:
        return mel_filters(self.sample_rate, self.n_fft, self.mel_bins)


@functools.lru_cache(maxsize=8)
def mel_filters(sample_rate: int, n_fft: int, mel_bins: int) -> npt.NDArray[np.float64]:
    """Triangular filters of equal area on Slaney's mel scale (M. Slaney, Auditory Toolbox, 1998), 0 Hz to Nyquist.

    Returns:
        [mel_bins, n_fft // 2 + 1].
    """
    edges = _mel_to_hertz(np.linspace(0.0, _hertz_to_mel(sample_rate / 2), mel_bins + 2))
    frequencies = np.linspace(0, sample_rate / 2, n_fft // 2 + 1)
    slopes = edges[:, None] - frequencies[None, :]
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    area = 2.0 / (edges[2:] - edges[:-2])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * area[:, None])


_LINEAR_HERTZ_PER_MEL = 200.0 / 3
_LOG_START_HERTZ = 1000.0
_LOG_START_MEL = _LOG_START_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27.0


def _hertz_to_mel(frequency: float) -> float:
    if frequency < _LOG_START_HERTZ:
        return frequency / _LINEAR_HERTZ_PER_MEL
    return _LOG_START_MEL + math.log(frequency / _LOG_START_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logarithmic = _LOG_START_HERTZ * np.exp(_LOG_STEP * (mel - _LOG_START_MEL))
    return np.where(mel < _LOG_START_MEL, mel * _LINEAR_HERTZ_PER_MEL, logarithmic)
