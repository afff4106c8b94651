"""What a child process may use. The kernel enforces it, whatever library the child runs."""

from __future__ import annotations

import dataclasses
import resource
import time

_LIBRARIES = 4 << 30
"""Address space for the code of libraries and for mapped files, beside the memory that a child may write to."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of one child process.

    Attributes:
        memory: Bytes that it may allocate; mapped files and the code of libraries are not counted.
        seconds: Processor time of one call.
        wall_seconds: Time of one call, after which the child is killed.
        file_bytes: Largest file that it may write; 0 for none.
        open_files: Files open at one time.
    """

    memory: int = 1 << 30
    seconds: int = 60
    wall_seconds: float = 300.0
    file_bytes: int = 0
    open_files: int = 64


def apply_limits(limits: Limits) -> None:
    """Limits this process, for good. A limit that is lower already stays."""
    _lower(resource.RLIMIT_DATA, limits.memory)
    _lower(resource.RLIMIT_AS, limits.memory + _LIBRARIES)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    _lower(resource.RLIMIT_CORE, 0)


def allow_seconds(seconds: int) -> None:
    """Lets this process use so many further seconds of processor time, then the kernel ends it by SIGXCPU."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    allowed = int(time.process_time()) + 1 + seconds
    resource.setrlimit(
        resource.RLIMIT_CPU, (allowed if hard == resource.RLIM_INFINITY else min(allowed, hard), hard)
    )


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    try:
        resource.setrlimit(kind, (value, value))
    except (OSError, ValueError):  # macOS refuses some of them
        return
