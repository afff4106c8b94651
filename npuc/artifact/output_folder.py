"""Atomic output: an artifact appears whole under its name, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from npuc.artifact.paths import MANIFEST_NAME
from npuc.caching.abandoned import is_abandoned, occupied, remove_folders
from npuc.errors import UsageError
from npuc.machine.disk_error import disk_error
from npuc.machine.signals import raise_if_signalled

_MARK = ".npuc-partial-"
_OLD = "-old"
_LEFTOVER = re.compile(rf"\.(?P<name>.+){re.escape(_MARK)}(?P<process>\d+)(?P<old>{_OLD})?", re.DOTALL)


@contextlib.contextmanager
def atomic_folder(destination: Path) -> Iterator[Path]:
    """Yields a temporary folder beside `destination` and renames it there when the block ends well.

    Leftovers of killed runs in its folder are removed first. On any exception, also an interruption, the temporary
    folder is removed and `destination` stays as it was.

    Raises:
        UsageError: `destination` exists and is no artifact.
        ResourceError: The folder cannot be written, or the disk is full.
    """
    destination = destination.absolute()
    require_replaceable(destination)
    partial = destination.parent / f".{destination.name}{_MARK}{os.getpid()}"
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(destination.parent)
        partial.mkdir()
        with occupied(partial):
            yield partial
            raise_if_signalled()
            _replace(partial, destination)
    except OSError as error:
        remedy = "name a folder on a disk that you may write to with -o"
        raise disk_error(error, "the output", destination, remedy) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_replaceable(destination: Path) -> None:
    """Checks that nothing is lost where an artifact is written.

    Raises:
        UsageError: `destination` exists and is no artifact.
    """
    if not destination.exists():
        return
    if not destination.is_dir() or (
        any(destination.iterdir()) and not (destination / MANIFEST_NAME).exists()
    ):
        raise UsageError(
            "the output exists and is not an artifact; it would be overwritten",
            where=str(destination),
            remedy="name another folder with -o, or remove this one",
        )


def _remove_leftovers(folder: Path) -> None:
    """Whatever the artifact was to be called: nobody will come back for it under its name."""
    for leftover in folder.glob(f".*{_MARK}*"):
        match = _LEFTOVER.fullmatch(leftover.name)
        if match is None or not is_abandoned(leftover, int(match["process"])):
            continue
        original = folder / match["name"]
        if match["old"] and not original.exists():
            leftover.rename(original)  # the process died between the two renames of `_replace`
        else:
            remove_folders([leftover])


def _replace(partial: Path, destination: Path) -> None:
    """Another process may do the same at the same time: whoever comes last is there in the end, and both are whole."""
    old = destination.parent / f"{partial.name}{_OLD}"
    while True:
        # there may be none: for the first time, or because another process has just moved it away
        with contextlib.suppress(FileNotFoundError):
            destination.rename(old)
        try:
            partial.rename(destination)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        remove_folders([old])
    remove_folders([old])
