"""Content-addressed cache: finished steps of a compile, so that an interrupted one resumes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from npuc.caching.abandoned import is_abandoned, occupied, remove_folders
from npuc.machine.disk_error import disk_error
from program.cache_folder import default_cache

STEPS, WORK, BUILDING = "steps", "work", ".building-"
"""Folders of finished entries and of unfinished work, and how the name of an entry starts while it is made."""

DONE = "done.json"


def content_key(*parts: bytes | str | dict[str, Any] | list[Any]) -> str:
    """Returns the SHA-256 over the parts, each with its length in front; mappings as canonical JSON."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else _canonical(part)
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()


def _canonical(part: str | dict[str, Any] | list[Any]) -> bytes:
    return part.encode() if isinstance(part, str) else json.dumps(part, sort_keys=True).encode()


class Cache:
    """Folders of files by content key.

    A folder is filled under a temporary name and renamed, so a key is either whole or absent. Its files are
    checked against their checksums before they are used; a damaged entry is made again.

    Args:
        folder: Where entries live; created on demand.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_cache()

    def fetch(
        self,
        key: str,
        destination: Path,
        build: Callable[[Path], dict[str, Any]],
        on_hit: Callable[[], None] | None = None,
    ) -> dict[str, Any]:
        """Copies the entry's files into `destination`, building it first where it is absent.

        Args:
            key: From `content_key`.
            destination: Existing folder.
            build: Fills an empty folder with files and returns a JSON-able summary.
            on_hit: Called where there is a whole, undamaged entry, before its files are copied.

        Returns:
            The summary.

        Raises:
            ResourceError: The cache cannot be written.
            OSError: `destination` cannot.
        """
        files, summary = self.keep(key, build, on_hit)
        _copy_files(files, destination)
        return summary

    def keep(
        self,
        key: str,
        build: Callable[[Path], dict[str, Any]],
        on_hit: Callable[[], None] | None = None,
    ) -> tuple[Path, dict[str, Any]]:
        """Like `fetch`, for files that are read where they lie.

        Returns:
            The entry's own folder, which must not be changed, and the summary.

        Raises:
            ResourceError: The cache cannot be written.
        """
        entry = self._folder / STEPS / key
        summary = _read_entry(entry)
        if summary is None:
            try:
                summary = self._build(entry, build)
            except OSError as error:
                if not self._holds(error):
                    raise
                remedy = "name a folder on another disk in NPUC_CACHE; `npuc cache prune` removes old entries"
                raise disk_error(error, "the cache", self._folder, remedy) from error
        elif on_hit is not None:
            on_hit()
        return entry / "files", summary

    def work_folder(self, key: str) -> Path:
        """Returns where unfinished work on an entry is kept, so that it goes on after an interruption."""
        return self._folder / WORK / key

    def size(self) -> int:
        """Returns the bytes of all entries."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    def _build(self, entry: Path, build: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        entry.parent.mkdir(parents=True, exist_ok=True)
        remove_folders(
            folder for folder in entry.parent.glob(f"{BUILDING}*") if is_abandoned(folder, builder(folder))
        )
        building = Path(tempfile.mkdtemp(dir=entry.parent, prefix=f"{BUILDING}{os.getpid()}-"))
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, building, ignore_errors=True)
            stack.enter_context(occupied(building))
            (building / "files").mkdir()
            summary = build(building / "files")
            record = {"summary": summary, "sha256": _checksums(building / "files")}
            (building / DONE).write_text(json.dumps(record, sort_keys=True), "utf-8")
            _publish(building, entry)
        return summary

    def _holds(self, error: OSError) -> bool:
        """Whether a file of the cache failed; failed writes do not say of which file they were."""
        return error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(self._folder)


def _publish(building: Path, entry: Path) -> None:
    """Gives a finished entry its name; a whole one of another process stays, which may be reading it."""
    try:
        building.rename(entry)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if _read_entry(entry) is None:
            shutil.rmtree(entry, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was faster
                building.rename(entry)


def _copy_files(source: Path, destination: Path) -> None:
    """Copies a folder into another; ends at the first file that fails, where `shutil.copytree` lists them all."""
    for path in sorted(source.rglob("*")):
        target = destination / path.relative_to(source)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copy2(path, target)


def builder(folder: Path) -> int | None:
    """Returns the number of the process that made a folder named `BUILDING`, where the name tells it."""
    number = folder.name.removeprefix(BUILDING).partition("-")[0]
    return int(number) if number.isdecimal() else None


def _checksums(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _read_entry(entry: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((entry / DONE).read_text("utf-8"))
        summary: dict[str, Any] = record["summary"]
        expected = record["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if _checksums(entry / "files") != expected:
        return None
    with contextlib.suppress(OSError):
        os.utime(entry / DONE)  # `npuc cache prune` keeps what was used lately
    return summary


def packages_of(*objects: object) -> set[str]:
    """Returns the packages that objects come from, for `package_digest`: other packages may bring back ends along."""
    return {type(entry).__module__.partition(".")[0] for entry in objects}


def package_digest(*packages: str) -> str:
    """Hashes the sources of packages, so that what other code made is not taken for this code's work.

    Args:
        *packages: Names of packages; their `.py`, `.c` and `.h` files count.
    """
    digest = hashlib.sha256()
    for package in packages:
        root = Path(str(resources.files(package)))
        for path in sorted(path for pattern in ("*.py", "*.c", "*.h") for path in root.rglob(pattern)):
            digest.update(path.relative_to(root.parent).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
