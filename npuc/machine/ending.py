"""What is removed where a process ends without unwinding: its children and its temporary folders."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import tempfile
from pathlib import Path

from npuc.caching.abandoned import filled_folders, remove_folders


def clean_up() -> None:
    """Kills all processes below this one and removes the folders it fills."""
    for process in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(process, signal.SIGKILL)
    remove_folders(filled_folders())
    for entry in gc.get_objects():
        if type(entry) is tempfile.TemporaryDirectory:  # isinstance would run code of lazy objects
            with contextlib.suppress(OSError):
                entry.cleanup()


def descendants(process: int) -> list[int]:
    """Returns the processes that a process started, and theirs; none where there is no `/proc`."""
    children = []
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(number) for number in listing.read_text().split()]
    return children + [below for child in children for below in descendants(child)]
