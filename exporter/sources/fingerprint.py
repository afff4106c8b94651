"""Tells whether a source is the same as before, so that finished work on it can be used again."""

from __future__ import annotations

import hashlib
from pathlib import Path

from exporter.sources.examine import examine_source
from exporter.sources.locate import model_path
from program.errors import DiagnosticError

SIZE_LIMIT = 2 << 30
"""Bytes; hashing and keeping copies of larger sources costs more than capturing them again."""


def source_fingerprint(model: str) -> str | None:
    """Returns a SHA-256 over the names and contents of a source's files.

    Args:
        model: As given to `open_source`.

    Returns:
        None where the files do not decide the result (a Python factory may import anything), where the source is
        larger than `SIZE_LIMIT`, or where it cannot be read (opening it reports why).
    """
    path = model_path(model)
    try:
        files = _files(path)
        if not files or sum(file.stat().st_size for file in files) > SIZE_LIMIT:
            return None
        digest = hashlib.sha256()
        for file in sorted(files):
            digest.update(f"{file.relative_to(path.parent)}\0{file.stat().st_size}\0".encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    except (OSError, ValueError, DiagnosticError):
        return None
    return digest.hexdigest()


def source_identity(model: str) -> str | None:
    """Returns `source_fingerprint`, or where that costs too much a SHA-256 over names, sizes and times of the files.

    Enough to find unfinished work on the same machine again. Results are not to be kept under it.

    Args:
        model: As given to `open_source`.

    Returns:
        None where there are no files that decide the result.
    """
    whole = source_fingerprint(model)
    if whole is not None:
        return whole
    path = model_path(model)
    try:
        entries = [(file, file.stat()) for file in sorted(_files(path))]
    except (OSError, ValueError, DiagnosticError):
        return None
    digest = hashlib.sha256()
    for file, status in entries:
        digest.update(f"{file.relative_to(path.parent)}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest() if entries else None


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in path.rglob("*") if file.is_file()]
    if path.suffix == ".onnx" and path.is_file():
        # of a file that is not accepted nothing is read: opening it says why
        examined = examine_source(str(path))
        return [path, *(path.parent / name for name in (examined.files if examined is not None else ()))]
    return [path] if path.suffix == ".pt2" and path.is_file() else []
