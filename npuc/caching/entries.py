"""What lies in the cache folder, and taking it away: finished steps, unfinished work, what dead processes left."""

from __future__ import annotations

import dataclasses
import enum
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from npuc.caching.abandoned import is_abandoned, remove_folders
from npuc.caching.cache import BUILDING, DONE, STEPS, WORK, builder

_DAY = 86400.0


class EntryKind(enum.StrEnum):
    """What an entry is."""

    STEP = "finished step"
    WORK = "unfinished work"
    ABANDONED = "abandoned"
    BUILDING = "being made"


@dataclasses.dataclass(frozen=True)
class CacheEntry:
    """One folder of the cache.

    Attributes:
        path: The folder.
        kind: What it is.
        nbytes: Of its files.
        last_used: Seconds since the epoch.
    """

    path: Path
    kind: EntryKind
    nbytes: int
    last_used: float

    @property
    def idle_days(self) -> float:
        """Days since it was last used."""
        return max(time.time() - self.last_used, 0.0) / _DAY


def cache_entries(folder: Path) -> tuple[CacheEntry, ...]:
    """Returns all entries, the one used last first. Vendors' tools belong to `npuc tools`, and are not among them.

    Args:
        folder: The cache folder; it may be missing.
    """
    entries = [_entry(path, kind) for path, kind in _folders(folder)]
    return tuple(sorted(entries, key=lambda entry: -entry.last_used))


def remove_entries(entries: Iterable[CacheEntry]) -> int:
    """Removes entries, except those that a running process makes.

    Returns:
        The bytes that were freed.
    """
    removable = [entry for entry in entries if entry.kind is not EntryKind.BUILDING]
    remove_folders(entry.path for entry in removable)
    return sum(entry.nbytes for entry in removable if not entry.path.exists())


def _folders(folder: Path) -> Iterator[tuple[Path, EntryKind]]:
    for path in _subfolders(folder / STEPS):
        if path.name.startswith(BUILDING):
            yield path, EntryKind.ABANDONED if is_abandoned(path, builder(path)) else EntryKind.BUILDING
        else:
            # without its record an entry is of no use to anybody
            yield path, EntryKind.STEP if (path / DONE).is_file() else EntryKind.ABANDONED
    for path in _subfolders(folder / WORK):
        yield path, EntryKind.WORK


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def _entry(path: Path, kind: EntryKind) -> CacheEntry:
    states = [file.lstat() for file in path.rglob("*") if file.is_file() or file.is_symlink()]
    used = path / DONE if kind is EntryKind.STEP else path
    times = (
        [used.stat().st_mtime]
        if kind is EntryKind.STEP
        else [path.stat().st_mtime, *(s.st_mtime for s in states)]
    )
    return CacheEntry(path, kind, sum(state.st_size for state in states), max(times))
