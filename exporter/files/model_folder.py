"""A folder with a model that somebody else made: every path is contained, every size is checked, nothing is run."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import Any

from exporter.errors import SourceError
from exporter.files.regular_file import read_regular
from exporter.files.strict_json import parse_json

MAX_JSON_BYTES = 16 << 20
"""The weight index of a model of a thousand layers is about 2 MB."""


class ModelFolder:
    """Read access to the files of one model folder.

    Links are followed when they end inside the folder, or inside `blobs/` of the Hugging Face cache that the folder is
    a snapshot of (`models--x--y/snapshots/<revision>` links to `models--x--y/blobs`).

    Args:
        path: The folder.

    Raises:
        SourceError: It is not a readable folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise SourceError(
                "the model folder does not exist" if not path.exists() else "the model is not a folder",
                where=str(path),
                remedy="name a folder that holds config.json and *.safetensors",
            )
        self.path = path
        self._roots = _allowed_roots(path.resolve())

    def has(self, name: str) -> bool:
        """Whether a file of this name is there (a link out of the folder raises on reading, not here).

        Raises:
            SourceError: There is something else of this name: a folder, a pipe, a device, a link to nothing.
        """
        path = self.path / name
        if not path.is_file() and os.path.lexists(path):
            self.file(name)
        return path.is_file()

    def file(self, name: str) -> Path:
        """Resolves a file name that may come from an untrusted index.

        Returns:
            The absolute path of a regular file, links resolved.

        Raises:
            SourceError: The name is absolute, climbs out of the folder, links out of it, or is not a file.
        """
        pure = PurePosixPath(name)
        if not name or "\x00" in name or pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise SourceError(
                "a file name points outside the folder",
                where=str(self.path),
                received=repr(name),
                remedy="use a model folder from a source you trust",
            )
        try:
            target = (self.path / name).resolve()
            is_file = target.is_file()
        except (OSError, RuntimeError) as error:  # the name is too long, or links form a circle
            raise SourceError(
                "a file name cannot be followed", where=str(self.path), received=repr(name)[:200]
            ) from error
        if not any(target.is_relative_to(root) for root in self._roots):
            raise SourceError(
                "a link points outside the folder",
                where=str(self.path / name),
                received=str(target),
                remedy="copy the file into the folder",
            )
        if not is_file:
            what = "a file is not a regular one" if target.exists() else "a file is missing"
            raise SourceError(what, where=str(self.path), received=repr(name))
        return target

    def read_bytes(self, name: str, limit: int = MAX_JSON_BYTES) -> bytes:
        """Reads a small file.

        Raises:
            SourceError: It is missing, outside the folder, unreadable, or larger than `limit` bytes.
        """
        return read_regular(self.file(name), limit)

    def read_json(self, name: str) -> dict[str, Any]:
        """Reads a JSON object.

        Raises:
            SourceError: As `read_bytes`, or it is not a JSON object.
        """
        data = self.read_bytes(name)
        try:
            value = parse_json(data)
        except ValueError as error:
            raise SourceError(
                "a file is not valid JSON", where=str(self.path / name), received=str(error)[:200]
            ) from error
        if not isinstance(value, dict):
            raise SourceError(
                "a JSON object is expected", where=str(self.path / name), received=type(value).__name__
            )
        return value

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json.

        Raises:
            SourceError: It is missing or damaged.
        """
        if not self.has("config.json"):
            raise SourceError(
                "the folder has no config.json",
                where=str(self.path),
                remedy="name a Hugging Face model folder, a file.py:function, a .pt2 or an .onnx file",
            )
        return self.read_json("config.json")

    def sha256(self, name: str) -> str:
        """Hex digest of one file, read in blocks.

        Raises:
            SourceError: As `file`.
        """
        with self.file(name).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _allowed_roots(folder: Path) -> tuple[Path, ...]:
    if folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--"):
        return (folder, folder.parents[1] / "blobs")
    return (folder,)
