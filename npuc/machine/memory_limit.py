"""How much memory a compile may use: checked against what the model declares, then enforced by the kernel.

`RLIMIT_DATA` bounds what the process, and each one it starts, allocates for itself: heap and private mappings, touched
or not. It does not bound mapped weights, which the kernel takes back at need, nor the code of libraries.
"""

from __future__ import annotations

import contextlib
import errno
import re
import resource
from collections.abc import Iterator

from exporter.sources.examine import Examined
from npuc.errors import ResourceError, UsageError
from npuc.machine.free_memory import free_memory, own_data

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST = 1 << 30
"""The libraries alone take about half of it."""
_WORDS = re.compile(r"bad_alloc|bad allocation|(can't|cannot) allocate memory|out of memory", re.IGNORECASE)


def parse_memory(text: str) -> int:
    """Returns bytes of `8G`, `8192M` (powers of 1024) or a plain number.

    Raises:
        UsageError: It is none of these, or less than any compile needs.
    """
    match = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)(i?B)?", text.strip(), re.ASCII | re.IGNORECASE)
    if match is None:
        raise UsageError("--memory-limit takes a size", received=text, remedy="write it as 8G or 8192M")
    size = int(match[1]) * _UNITS[match[2].upper()]
    if size >= 1 << 60:
        raise UsageError("--memory-limit is too large", received=text, remedy="give what the machine has")
    if size < _LEAST:
        raise UsageError("--memory-limit is too small", received=text, remedy="give it 1G or more")
    return size


def needed_memory(examined: Examined) -> int:
    """Returns bytes that a compile needs at least, by what the model declares.

    What is read as a whole is held twice (bytes, and what they are parsed to); weights that stay in their files are
    converted one at a time; one run holds the values that exist at one time.
    """
    return 2 * examined.parsed + 2 * examined.largest + examined.live


@contextlib.contextmanager
def memory_bound(limit: str | None, examined: Examined | None) -> Iterator[None]:
    """Bounds the memory of what runs inside.

    Args:
        limit: As the user wrote it; None for what the machine has free.
        examined: The model, where it was looked through.

    Raises:
        ResourceError: The model needs more, or more was asked for while the block ran.
        UsageError: The limit is no size.
    """
    allowed = free_memory() if limit is None else parse_memory(limit)
    needed = 0 if examined is None else needed_memory(examined)
    if needed > allowed:
        raise ResourceError(
            "the model needs more memory than there is"
            if limit is None
            else "the model needs more memory than --memory-limit allows",
            received=f"{_size(needed)} at least, of {_size(allowed)}",
            remedy="use a machine with more memory"
            if limit is None
            else "raise it, or compile a smaller model",
        )
    before = resource.getrlimit(resource.RLIMIT_DATA)
    # what is free is free beside what this process has
    _set_data_limit(allowed + own_data() if limit is None else max(allowed, own_data()), before[1])
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise ResourceError(
                "a compile ran out of memory",
                received=f"it may use {_size(allowed)}",
                remedy="raise --memory-limit, use a machine with more memory, or compile a smaller model",
            ) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised for, says that there is no memory."""
    for _ in range(8):
        if error is None:
            return False
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if _WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _set_data_limit(size: int, hard: int) -> None:
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses it
        resource.setrlimit(resource.RLIMIT_DATA, (size, hard))


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
