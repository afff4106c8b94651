"""What a user is told where the disk fails."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from npuc.errors import ResourceError


def disk_error(error: OSError, what: str, folder: Path, remedy: str) -> ResourceError:
    """Returns the error for a file that cannot be written.

    Args:
        error: From the system.
        what: What is written: "the output".
        folder: Where to; need not exist.
        remedy: Where to write instead.
    """
    if error.errno == errno.ENOSPC:
        return ResourceError(
            "the disk is full; nothing was written",
            where=str(folder),
            received=f"{shutil.disk_usage(_existing(folder)).free / 1e6:.1f} MB free",
            remedy=f"free disk space, or {remedy}",
        )
    return ResourceError(
        f"cannot write {what}: {error.strerror or error}",
        # a failed copy names its source first
        where=str(error.filename2 or error.filename or folder),
        remedy=remedy,
    )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
