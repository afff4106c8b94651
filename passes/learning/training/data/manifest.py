"""Data sets listed in a JSON Lines file: one entry a line, files named relative to the manifest's folder."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from exporter.errors import SourceError
from exporter.files.model_folder import ModelFolder
from passes.learning.training.data.sample import Sample
from passes.learning.training.errors import TrainingError

KEYS = ("image", "audio", "text", "answer", "label")
"""What a line may hold, all text; `label` may be an integer too."""

_MAX_LINE_BYTES = 1 << 20
_MAX_BYTES = 4 << 30


class Manifest(Sequence[Sample]):
    """`{"image": "a.png", "audio": "a.wav", "text": "what is the sum?", "answer": "42"}`, one a line.

    Every line is checked when the manifest is opened; 8 bytes a line stay in memory, and a line is parsed again when
    its entry is asked for. Links may not lead out of the folder.

    Args:
        path: The file; empty lines are skipped.

    Raises:
        TrainingError: The file is missing, too large or empty; a line is not such an object, has none of image, audio
            and text, or names a file that is missing or outside the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._folder = ModelFolder(path.parent)
            size = path.stat().st_size
        except (OSError, SourceError) as error:
            raise _unreadable(path, str(error)) from error
        if not path.is_file():
            raise _unreadable(path, "not a file")
        if size > _MAX_BYTES:
            raise _unreadable(path, f"{size} bytes, more than {_MAX_BYTES}")
        self._offsets = array("q", self._scan())
        if not self._offsets:
            raise _unreadable(path, "no entries")

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...

    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Parses entries again."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        with self.path.open("rb") as file:
            file.seek(self._offsets[index])
            line = file.readline(_MAX_LINE_BYTES + 1)
        return self._parse(line, f"{self.path}, entry {index}")

    def _scan(self) -> Iterator[int]:
        with self.path.open("rb") as file:
            number, offset = 0, 0
            while line := file.readline(_MAX_LINE_BYTES + 1):
                number += 1
                if line.strip():
                    self._parse(line, f"{self.path}, line {number}")
                    yield offset
                offset = file.tell()

    def _parse(self, line: bytes, where: str) -> Sample:
        values = _values(line, where)
        return Sample(
            image=self._file(values.get("image"), where),
            audio=self._file(values.get("audio"), where),
            text=values.get("text"),
            answer=values.get("answer"),
            label=values.get("label"),
        )

    def _file(self, name: str | None, where: str) -> Path | None:
        if name is None:
            return None
        try:
            return self._folder.file(name)
        except SourceError as error:
            raise TrainingError(
                "the manifest names a file that cannot be used",
                where=where,
                received=f"{name!r}: {error.what}",
                remedy=_REMEDY,
            ) from error


_REMEDY = "name files inside the manifest's folder, relative to it"


def _values(line: bytes, where: str) -> dict[str, str]:
    if len(line) > _MAX_LINE_BYTES:
        raise _bad_line(where, f"more than {_MAX_LINE_BYTES} bytes")
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _bad_line(where, str(error)[:200]) from error
    if not isinstance(values, dict):
        raise _bad_line(where, line.decode(errors="replace").strip()[:200])
    if unknown := sorted(set(values) - set(KEYS)):
        raise _bad_line(where, f"unknown key {', '.join(unknown)}"[:200])
    if type(values.get("label")) is int:
        values["label"] = str(values["label"])
    if not all(isinstance(value, str) and value for value in values.values()):
        raise _bad_line(where, "a value that is not text, or empty text")
    if not {"image", "audio", "text"} & set(values):
        raise _bad_line(where, "none of image, audio and text")
    return values


def _bad_line(where: str, received: str) -> TrainingError:
    return TrainingError(
        "an entry of the manifest is not usable",
        where=where,
        received=received,
        remedy=f"write a JSON object with {', '.join(KEYS)}; at least one of the first three",
    )


def _unreadable(path: Path, received: str) -> TrainingError:
    return TrainingError(
        "the manifest cannot be read",
        where=str(path),
        received=received,
        remedy="name a JSON Lines file with one entry a line",
    )
