"""How much memory there is for this process: of the machine, and of the control group it is in."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")


def free_memory(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Returns bytes that can be allocated without taking them from another process.

    Args:
        proc: Where the kernel describes processes.
        groups: Where it describes control groups.
    """
    available = _field(proc / "meminfo", "MemAvailable")
    if available is None:  # not Linux
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(0, min([available, *_group_memory(proc, groups)]))


def own_data(proc: Path = _PROC) -> int:
    """Returns bytes that this process has allocated, as `RLIMIT_DATA` counts them; 0 where that is not known."""
    return _field(proc / "self" / "status", "VmData") or 0


def _field(path: Path, name: str) -> int | None:
    match = re.search(rf"^{name}:\s+(\d+) kB$", _read(path), re.MULTILINE)
    return int(match[1]) << 10 if match is not None else None


def _group_memory(proc: Path, groups: Path) -> list[int]:
    """What each group that holds this process, up to the root, has left: version 2, then version 1."""
    free = []
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = groups / controllers
        names = ("memory.max", "memory.current") if controllers == "" else _VERSION_1
        for part in (PurePosixPath(path), *PurePosixPath(path).parents):
            limit, used = (_read(root / str(part).lstrip("/") / name).strip() for name in names)
            if limit.isdecimal() and used.isdecimal():
                free.append(int(limit) - int(used))
    return free


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
