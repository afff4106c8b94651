"""Reads damaged files of one kind, one after the other, and says what became of each.

    python -m benchmarks.fuzzing.worker [--as-npuc] KIND VALID FIRST COUNT

What npuc reads in a child process is read in this one, but for `--as-npuc`. Prints a line for each file when it begins
and when it is done, so that whoever started the process knows at which one it ended. A traceback is printed with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from benchmarks.fuzzing import in_process
from benchmarks.fuzzing.outcome import ACCEPTED, HANG, MEGABYTES, MEMORY, REFUSED, SECONDS, TRACEBACK
from program.errors import DiagnosticError

if TYPE_CHECKING:
    from benchmarks.fuzzing.kinds import Kind

_ADDRESS_SPACE = 4 << 30
"""Bytes beyond what is mapped at the start: libraries map more than they touch."""


class _TimeoutError(BaseException):
    """The alarm rang."""


def main() -> None:
    """Reads files FIRST to FIRST + COUNT - 1 of a kind, made from those in VALID."""
    *options, name, folder, start, number = sys.argv[1:]
    if "--as-npuc" not in options:
        in_process.install()
    from benchmarks.fuzzing.kinds import KINDS  # the readers, which find the child processes replaced

    kind, valid, first, count = KINDS[name], Path(folder), int(start), int(number)
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    warnings.simplefilter("ignore")
    _limit_memory()
    signal.signal(signal.SIGPROF, _ring)
    with tempfile.TemporaryDirectory(prefix="npuc-fuzz-") as scratch:
        _read_all(kind, valid, Path(scratch), range(first, first + count), report)


def _read_all(kind: Kind, valid: Path, scratch: Path, numbers: range, report: TextIO) -> None:
    for number in numbers:
        report.write(json.dumps([number]) + "\n")
        outcome, detail = _outcome(kind, valid, scratch, number)
        report.write(json.dumps([number, outcome, detail]) + "\n")
        if outcome == MEMORY:
            return  # the peak of this process tells nothing of the next file


def _outcome(kind: Kind, valid: Path, scratch: Path, number: int) -> tuple[str, str]:
    before = _peak()
    outcome, detail = _read(kind, valid, scratch, number)
    grown = (_peak() - before) >> 10
    return (MEMORY, f"{grown} MB; {outcome} {detail}") if grown > MEGABYTES else (outcome, detail)


def _read(kind: Kind, valid: Path, scratch: Path, number: int) -> tuple[str, str]:
    path = kind.damage(valid, scratch, random.Random(f"{kind.name} {number}"))  # noqa: S311 - made again by number
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        kind.read(path)
    except DiagnosticError as error:
        return REFUSED, str(error)[:500]
    except _TimeoutError:
        return HANG, "".join(traceback.format_exc().splitlines(keepends=True)[-12:])
    except BaseException as error:  # what is not one of npuc's own errors, a panic of a library included
        kind_of = MEMORY if isinstance(error, MemoryError) else TRACEBACK
        return kind_of, "".join(traceback.format_exc().splitlines(keepends=True)[-12:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return ACCEPTED, ""


def _ring(_number: int, _frame: FrameType | None) -> None:
    raise _TimeoutError


def _peak() -> int:
    """Most memory this process has had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _limit_memory() -> None:
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + _ADDRESS_SPACE, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
