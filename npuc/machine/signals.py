"""SIGINT and SIGTERM: the stack unwinds; what a library holds up for too long is ended from beside it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

GRACE_SECONDS = 1.0
"""From the signal until the process is ended whatever its main thread does."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class SignalledError(BaseException):
    """SIGINT or SIGTERM arrived; unwinds the stack so that temporary folders are removed.

    Not KeyboardInterrupt: CPython kills the process by SIGINT at its exit, whatever the exit code, once a
    KeyboardInterrupt has passed through ``exec`` of a string (``run_eval_code_obj`` in Python/pythonrun.c),
    as dataclasses and torch.fx use it.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def received_signal() -> int | None:
    """Returns the signal that is to end this process, if one has arrived."""
    return _received[0] if _received else None


def raise_if_signalled() -> None:
    """Raises the signal's exception again, which a library may have swallowed.

    Raises:
        SignalledError: A signal has arrived.
    """
    if _received:
        raise SignalledError(_received[0])


def words(number: int) -> str:
    """What the user is told about an ended command."""
    word = "terminated" if number == signal.SIGTERM else "interrupted"
    return f"{word}; nothing was written. The same command resumes."


def install(clean_up: Callable[[], None]) -> None:
    """Makes SIGINT and SIGTERM end this process within `GRACE_SECONDS`, by unwinding where that is possible.

    Python runs its handlers between two byte codes of the main thread: never while that thread is inside one call of
    a library. The interpreter writes each signal's number into a pipe at once, though, and a thread waits there.

    Args:
        clean_up: Called where unwinding has not come to an end; removes what that would have removed.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _SIGNALS:
        signal.signal(number, _on_signal)
    os.register_at_fork(after_in_child=_stand_down)
    threading.Thread(target=_watch, args=(reading, clean_up), name="npuc-signals", daemon=True).start()


def _on_signal(number: int, _frame: FrameType | None) -> None:
    """Raises once only: a second signal must not interrupt the removal of temporary folders."""
    if not _received:
        _received.append(number)
        raise SignalledError(number)


def _stand_down() -> None:
    """A forked child would write its own signals into the pipe of this process."""
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _watch(descriptor: int, clean_up: Callable[[], None]) -> None:
    number = next(byte for byte in iter(lambda: os.read(descriptor, 1)[0], None) if byte in _SIGNALS)
    time.sleep(GRACE_SECONDS)
    with contextlib.suppress(Exception):  # this is the last thing the process does, whatever state it is in
        clean_up()
    with contextlib.suppress(OSError):
        os.write(2, f"{words(number)}\n".encode())
    os._exit(128 + number)
