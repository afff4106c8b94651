"""Folders that a process fills: which of them belong to one that died."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_FRESH_SECONDS = 60.0
"""A folder this young may belong to a process that has not locked it yet."""

_filled: set[Path] = set()


@contextlib.contextmanager
def occupied(folder: Path) -> Iterator[None]:
    """Marks a folder as being filled while the block runs; the system drops the mark when the process dies.

    Args:
        folder: Existing; it may be renamed meanwhile.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # file systems without locks: the age of the folder has to do
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _filled.add(folder)
        yield
    finally:
        _filled.discard(folder)
        os.close(descriptor)


def filled_folders() -> tuple[Path, ...]:
    """Returns the folders that this process fills now, under the names they had at first."""
    return tuple(_filled)


def is_abandoned(folder: Path, process: int | None = None) -> bool:
    """Tells whether nobody fills the folder any more.

    Args:
        folder: Made by npuc.
        process: Who made it, where its name tells.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        age = time.time() - os.fstat(descriptor).st_mtime
    except OSError:
        return False
    finally:
        os.close(descriptor)
    # the number of a dead process may be another's by now, so that a running one proves nothing
    return age > _FRESH_SECONDS or (process is not None and not _is_running(process))


def remove_folders(folders: Iterable[Path]) -> None:
    """Removes folders as far as that is possible."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
