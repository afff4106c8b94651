"""Peak memory of this process and everything it started (Linux)."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Self

_SECONDS = 0.2
_PARENT_FIELD = 1
"""Of /proc/<pid>/stat behind the process name: state, parent, …"""

_PRIVATE = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
"""Of /proc/<pid>/status: resident pages that no file backs."""


class PeakMemory:
    """Samples the resident memory of the process tree in a thread, while the block runs.

    Pages of a file that two processes map count in both.

    Attributes:
        peak: Largest sum seen, in bytes.
        private: The same without pages of files, which the system may drop at any time.
    """

    def __init__(self) -> None:
        self.peak = 0
        self.private = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        """Starts sampling."""
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Stops sampling."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SECONDS):
            tree = process_tree()
            self.peak = max(self.peak, sum(_resident(pid) for pid in tree))
            self.private = max(self.private, sum(_private(pid) for pid in tree))


def process_tree() -> set[str]:
    """Returns the numbers of this process and its descendants."""
    parents = {path.name: _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    tree = {str(os.getpid())}
    while found := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= found
    return tree


def _parent(path: Path) -> str:
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()[_PARENT_FIELD]
    except OSError:  # it has just ended
        return ""


def _resident(pid: str) -> int:
    try:
        return int(Path("/proc", pid, "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _private(pid: str) -> int:
    try:
        status = Path("/proc", pid, "status").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(value) for value in _PRIVATE.findall(status))
