"""Reads files that a stranger may have made: regular ones only, never a pipe or a device that blocks or has no end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from exporter.errors import SourceError

Identity = tuple[int, int, int, int, int]
"""Device, inode, size, time of change of the content and of the entry (ns): another file differs in one of them."""


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading.

    Args:
        path: May be anything, also something else than when it was last looked at.

    Raises:
        SourceError: It is not a regular file, or cannot be read.
    """
    try:
        # opening a pipe would wait for its other end
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise SourceError("a file is not a regular one", where=str(path))
    return stream


def read_regular(path: Path, limit: int) -> bytes:
    """Reads a file as a whole.

    Args:
        path: As for `open_regular`.
        limit: Bytes.

    Raises:
        SourceError: As `open_regular`, or it is larger than `limit`.
    """
    with open_regular(path) as stream:
        try:
            # the buffer for what is asked for is allocated, whatever there is
            data = stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)
        except OSError as error:
            raise _unreadable(path, error) from error
    if len(data) > limit:
        received = f"{path.stat().st_size} bytes"
        raise SourceError(
            f"a file is larger than the limit of {limit} bytes", where=str(path), received=received
        )
    return data


def identity(path: Path) -> Identity:
    """Returns what a file is recognised by.

    Raises:
        OSError: It cannot be looked at.
    """
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _unreadable(path: Path, error: OSError) -> SourceError:
    return SourceError("a file cannot be read", where=str(path), received=error.strerror or str(error))
