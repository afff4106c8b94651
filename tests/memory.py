"""Memory of the running process, for tests of bounds."""

from __future__ import annotations

import re
from pathlib import Path

_PRIVATE = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)


def private_bytes() -> int:
    """Returns the resident bytes of this process that no file backs (Linux)."""
    return 1024 * sum(map(int, _PRIVATE.findall(Path("/proc/self/status").read_text())))
