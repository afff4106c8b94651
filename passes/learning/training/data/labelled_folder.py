"""Data sets as folders: one folder a class, files of one stem belong together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from passes.learning.training.data.sample import Sample
from passes.learning.training.errors import TrainingError

SUFFIXES = {".png": "image", ".jpg": "image", ".jpeg": "image", ".wav": "audio", ".txt": "text"}
"""File name ending → modality."""

_MAX_TEXT_BYTES = 1 << 20


def read_labelled_folder(folder: Path) -> list[Sample]:
    """Lists `<folder>/<label>/<stem>.{png,jpg,jpeg,wav,txt}`, one entry for each stem, sorted.

    Args:
        folder: Has one folder for each class; `7.png`, `7.wav` and `7.txt` of one class are one entry.

    Raises:
        TrainingError: There is nothing, a link leads out of the folder, or a text is too long or not UTF-8.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise _nothing(folder, "not a folder")
    samples = [sample for label in _subfolders(root) for sample in _read_class(label, root)]
    if not samples:
        raise _nothing(folder, "no files of these kinds")
    return samples


def _subfolders(root: Path) -> Iterator[Path]:
    with os.scandir(root) as entries:
        yield from (Path(entry) for entry in sorted(entries, key=lambda entry: entry.name) if entry.is_dir())


def _read_class(folder: Path, root: Path) -> Iterator[Sample]:
    groups: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        modality = SUFFIXES.get(path.suffix.lower())
        if modality is not None and path.is_file():
            groups.setdefault(path.stem, {})[modality] = _inside(path, root)
    for files in groups.values():
        text = _read_text(files["text"]) if "text" in files else None
        yield Sample(files.get("image"), files.get("audio"), text, None, folder.name)


def _inside(path: Path, root: Path) -> Path:
    target = path.resolve()
    if not target.is_relative_to(root):
        raise TrainingError(
            "a link of the data set leads out of its folder",
            where=str(path),
            received=str(target),
            remedy="copy the file into the folder",
        )
    return target


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_TEXT_BYTES:
            raise ValueError(f"more than {_MAX_TEXT_BYTES} bytes")
        return path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise TrainingError(
            "a text of the data set cannot be read", where=str(path), received=str(error)
        ) from error


def _nothing(folder: Path, received: str) -> TrainingError:
    return TrainingError(
        "the folder holds no data set",
        where=str(folder),
        received=received,
        remedy=f"lay files out as LABEL/NAME with NAME ending in {', '.join(SUFFIXES)}",
    )
