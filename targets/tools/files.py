"""Puts files into a job's folder without copying gigabytes where the file system allows it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def place_file(source: Path, destination: Path) -> None:
    """Makes `destination` a hard link to `source`, or a copy where they lie on different file systems.

    Args:
        source: File that the job must not change.
        destination: New name in the job's folder.

    Raises:
        OSError: `source` cannot be read, or the disk is full.
    """
    try:
        os.link(source.resolve(), destination)
    except OSError:
        shutil.copyfile(source, destination)
