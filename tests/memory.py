"""Memory of the running process, for tests of bounds."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

_PRIVATE = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)


def private_bytes() -> int:
    """Returns the resident bytes of this process that no file backs (Linux)."""
    return 1024 * sum(map(int, _PRIVATE.findall(Path("/proc/self/status").read_text())))


class Peak:
    """Private bytes of this process.

    Attributes:
        growth: Most bytes above those at the start.
    """

    def __init__(self) -> None:
        self.growth = 0


@contextlib.contextmanager
def watched_memory(seconds: float = 0.001) -> Iterator[Peak]:
    """Measures the peak while the block runs, every few milliseconds."""
    peak, start, stop = Peak(), private_bytes(), threading.Event()

    def watch() -> None:
        while not stop.wait(seconds):
            peak.growth = max(peak.growth, private_bytes() - start)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()
