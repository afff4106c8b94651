"""Reads the files of an entry, with sizes checked before anything is decoded."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from exporter.errors import SourceError
from exporter.preprocessing.audio import read_wav
from passes.learning.training.data.sample import Example, Sample
from passes.learning.training.errors import TrainingError


@dataclasses.dataclass(frozen=True)
class ReadLimits:
    """What files of a data set may cost.

    Attributes:
        file_bytes: Largest file that is opened.
        pixels: Most pixels of a picture; they are decoded to 3 bytes each.
        seconds: Longest sound.
    """

    file_bytes: int = 64 << 20
    pixels: int = 64 << 20
    seconds: float = 60.0


def read_example(sample: Sample, limits: ReadLimits | None = None) -> Example:
    """Reads an entry.

    Args:
        sample: From a manifest or a folder.
        limits: What is refused.

    Raises:
        TrainingError: A file is missing, too large or damaged.
    """
    limits = limits or ReadLimits()
    samples, rate = (None, 0) if sample.audio is None else _read_sound(sample.audio, limits)
    image = None if sample.image is None else _read_picture(sample.image, limits)
    return Example(image, samples, rate, sample.text, sample.answer, sample.label)


def _read_picture(path: Path, limits: ReadLimits) -> Image.Image:
    _check_size(path, limits)
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > limits.pixels:
                raise TrainingError(
                    "a picture of the data set has too many pixels",
                    where=str(path),
                    received=f"{picture.width} x {picture.height}",
                    remedy=f"use pictures of at most {limits.pixels} pixels",
                )
            return picture.convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise TrainingError(
            "a picture of the data set cannot be read",
            where=str(path),
            received=str(error),
            remedy="name a PNG or JPEG file",
        ) from error


def _read_sound(path: Path, limits: ReadLimits) -> tuple[npt.NDArray[np.float32], int]:
    _check_size(path, limits)
    try:
        return read_wav(path, limits.seconds)
    except SourceError as error:
        raise TrainingError(
            "a sound of the data set cannot be read",
            where=str(path),
            received=f"{error.what} {error.received}".strip(),
            remedy=error.remedy,
        ) from error


def _check_size(path: Path, limits: ReadLimits) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise TrainingError(
            "a file of the data set is missing", where=str(path), received=error.strerror or str(error)
        ) from error
    if size > limits.file_bytes:
        raise TrainingError(
            "a file of the data set is too large",
            where=str(path),
            received=f"{size} bytes",
            remedy=f"use files of at most {limits.file_bytes} bytes",
        )
