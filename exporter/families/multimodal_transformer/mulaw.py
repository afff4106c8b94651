"""8-bit logarithmic audio: how the shipped clips are stored.

μ-law companding as in ITU-T G.711 with μ = 255. G.711 itself approximates the curve by eight straight segments; this
is the continuous curve, so the bytes are not interchangeable with telephony streams.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MU = 255.0


def encode_mulaw(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Compresses samples in [-1, 1] to one byte each; 128 is silence."""
    clipped = np.clip(samples.astype(np.float64), -1.0, 1.0)
    compressed = np.sign(clipped) * np.log1p(MU * np.abs(clipped)) / np.log1p(MU)
    return np.asarray(np.round(compressed * 127 + 128), np.uint8)


def decode_mulaw(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Expands bytes of `encode_mulaw` to float32 samples in about [-1, 1]."""
    compressed = (codes.astype(np.float64) - 128) / 127
    samples = np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(MU)) / MU
    return np.asarray(samples, np.float32)
