"""Pictures, sounds and questions to the arrays the bundled model reads; the same code in training and at run time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.word_tokenizer import PADDING, WordTokenizer, token_id
from exporter.preprocessing.audio import LogMel

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

MASKED = -1e4
"""Added to attention scores of padding; representable in float16."""


@dataclasses.dataclass(frozen=True)
class ImageSettings:
    """Size in pixels, and the mean and the standard deviation that grey values in [0, 1] are normalised by."""

    height: int = 32
    width: int = 64
    mean: float = 0.1
    std: float = 0.3


REFERENCE_LOG_MEL = LogMel(sample_rate=8000, n_fft=256, hop_length=100, mel_bins=48, max_samples=12800)
"""Spectrogram of the shipped model: 1.6 s of sound in 128 frames."""


@dataclasses.dataclass(frozen=True)
class Preprocessor:
    """All preprocessing settings of the model, as they stand in preprocessor_config.json.

    Attributes:
        image: Size and normalisation of the picture.
        audio: Spectrogram of the sound.
        text_length: Tokens a question is padded to.
    """

    image: ImageSettings = ImageSettings()
    audio: LogMel = REFERENCE_LOG_MEL
    text_length: int = 16

    def pixels(self, image: Image.Image) -> Float32:
        """Turns a picture of any size and mode into [1, height, width]."""
        settings = self.image
        grey = image.convert("L").resize((settings.width, settings.height), Image.Resampling.BILINEAR)
        values = np.asarray(grey, np.float32) / 255
        return ((values - settings.mean) / settings.std)[None].astype(np.float32)

    def spectrogram(self, samples: Float32, sample_rate: int) -> Float32:
        """Turns mono samples into [mel_bins, frames].

        Raises:
            SourceError: The sound is longer than the model's window.
        """
        seconds, limit = len(samples) / max(sample_rate, 1), self.audio.max_samples / self.audio.sample_rate
        if seconds > limit:
            raise SourceError(
                "The sound is too long for this model.",
                where="audio",
                received=f"{seconds:.2f} s",
                remedy=f"cut it to the spoken number, at most {limit:g} s",
            )
        return self.audio(samples, sample_rate)

    def question(self, tokenizer: WordTokenizer, prompt: str) -> tuple[Int64, Float32]:
        """Turns a question into padded token ids [text_length] and their additive mask [1, 1, text_length].

        Raises:
            SourceError: The question is empty or has too many words.
        """
        ids = tokenizer.encode(prompt).ids
        if not 0 < len(ids) <= self.text_length:
            raise SourceError(
                "The question does not fit the model.",
                where="prompt",
                received=f"{len(ids)} words and signs",
                remedy=f"ask with 1 to {self.text_length} words and signs",
            )
        padded = np.full(self.text_length, token_id(tokenizer, PADDING), np.int64)
        padded[: len(ids)] = ids
        mask = np.where(np.arange(self.text_length) < len(ids), 0.0, MASKED)
        return padded, mask.astype(np.float32)[None, None]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of preprocessor_config.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Preprocessor:
        """Reads preprocessor_config.json.

        Raises:
            SourceError: A setting is missing, unknown or out of range.
        """
        try:
            image, audio = ImageSettings(**document["image"]), LogMel(**document["audio"])
            preprocessor = cls(image, audio, document["text_length"])
        except (KeyError, TypeError) as error:
            raise SourceError(
                "The preprocessing settings cannot be read.",
                where="preprocessor_config.json",
                received=str(error),
            ) from error
        _check_positive({**document["image"], **document["audio"], "text_length": preprocessor.text_length})
        return preprocessor


def _check_positive(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (
            not number
            or not (value > 0 or name == "mean")
            or (name not in {"mean", "std"} and value != int(value))
        ):
            raise SourceError(
                "A preprocessing setting is out of range.",
                where=f"preprocessor_config.json: {name}",
                received=repr(value),
                remedy="give a positive number, whole for sizes and counts",
            )
