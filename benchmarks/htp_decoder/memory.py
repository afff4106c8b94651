"""Peak memory of this process and everything it started (Linux)."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_SECONDS = 0.2
_PARENT_FIELD = 1
"""Of /proc/<pid>/stat behind the process name: state, parent, …"""


class PeakMemory:
    """Samples the resident memory of the process tree in a thread, while the block runs.

    Pages of a file that two processes map count in both.

    Attributes:
        peak: Largest sum seen, in bytes.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        """Starts sampling."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops sampling."""
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(_SECONDS):
            self.peak = max(self.peak, tree_memory())


def tree_memory() -> int:
    """Returns the resident bytes of this process and its descendants."""
    parents = {path.name: _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    tree = {str(os.getpid())}
    while found := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= found
    return sum(_resident(pid) for pid in tree)


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
