"""Has a model looked through in a child process before anything else of npuc reads it.

What is found good is not looked through again while its files stay the same, so that each reader asks for it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

from exporter.errors import SourceError
from exporter.files.model_folder import MAX_JSON_BYTES
from exporter.files.regular_file import Identity, identity
from exporter.provenance import FOLDER_FILES
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import call_once
from exporter.sources.locate import model_path

_CALLS = "exporter.sources"
_BASE_MEMORY, _BASE_SECONDS = 1 << 30, 10
_GROWTH = 4
"""Memory, in sizes of an .onnx or .pt2 file: its bytes, what they are parsed to, and a copy of that."""
_FOLDER_GROWTH = 32
"""The same for the JSON files of a folder: a number of one byte takes 32 as a Python object."""
_BYTES_A_SECOND = 8 << 20
"""That are parsed; slow, so that large honest files pass."""


@dataclasses.dataclass(frozen=True)
class Examined:
    """What is known of a model before it is read.

    Attributes:
        weights: Bytes of all weights.
        parsed: Bytes of files that are read as a whole.
        largest: Bytes of the largest of them, where known.
        live: Bytes of the values that exist at one time while it runs, where known.
        files: Names of files with weights beside an .onnx file.
    """

    weights: int
    parsed: int = 0
    largest: int = 0
    live: int = 0
    files: tuple[str, ...] = ()


_good: dict[Path, tuple[tuple[Identity, ...], Examined]] = {}


def examine_source(model: str) -> Examined | None:
    """Looks a model through; what it costs is a fraction of a second for small files.

    Args:
        model: As given to `open_source`.

    Returns:
        None where there is nothing to look through: a Python factory, or no such file.

    Raises:
        SourceError: The model is damaged, or reading it uses too much.
        ExportError: It is of a kind that is not supported.
    """
    path = model_path(model)
    if path.is_dir():
        return _examine(path, "examined_folder:examine_folder", _folder_limits(path))
    if path.suffix in (".onnx", ".pt2") and path.is_file():
        size = path.stat().st_size
        limits = _limits(size, _GROWTH)
        return _examine(path, f"examined_file:examine_{path.suffix[1:]}", limits)
    return None


def _folder_limits(path: Path) -> Limits:
    sizes = [(path / name).stat().st_size for name in FOLDER_FILES if (path / name).is_file()]
    return _limits(sum(min(size, MAX_JSON_BYTES) for size in sizes), _FOLDER_GROWTH)


def _limits(size: int, growth: int) -> Limits:
    return Limits(_BASE_MEMORY + growth * size, _BASE_SECONDS + size // _BYTES_A_SECOND, 600.0)


def require_same(path: Path) -> None:
    """Makes sure that what was just read is what was looked through.

    Args:
        path: A file or folder that `examine_source` found good.

    Raises:
        SourceError: It was changed meanwhile.
    """
    known = _good.get(path.absolute())
    if known is None or _identities(path, known[1]) != known[0]:
        raise SourceError(
            "the model was changed while it was read", where=str(path), remedy="run the command again"
        )


def _examine(path: Path, function: str, limits: Limits) -> Examined:
    known = _good.get(path.absolute())
    if known is not None and _identities(path, known[1]) == known[0]:
        return known[1]
    before = _identities(path, None)
    answer = call_once(
        f"{_CALLS}.{function}", limits=limits, what="reading the model", where=str(path), path=str(path)
    )
    parsed = 0 if path.is_dir() else path.stat().st_size
    found = Examined(parsed=parsed, **(answer | {"files": tuple(answer.get("files", ()))}))
    if _identities(path, None) == before:
        _good[path.absolute()] = (_identities(path, found), found)
    return found


def _identities(path: Path, found: Examined | None) -> tuple[Identity, ...]:
    names: Iterable[Path] = [path / name for name in FOLDER_FILES] if path.is_dir() else [path]
    beside = [path.parent / name for name in found.files] if found is not None else []
    return tuple(identity(file) for file in (*names, *beside) if file.is_file())
