"""Shows how far a compile is: a bar a phase with bytes and time on a terminal, one line a phase elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

Advance = Callable[[int, int], None]
"""Reports finished steps and the bytes they handled."""


class ProgressReporter(Protocol):
    """Receives the phases of a compile."""

    def phase(self, name: str, steps: int) -> contextlib.AbstractContextManager[Advance]:
        """Opens a phase of `steps` steps; the block is given a function that reports finished ones."""
        ...

    def note(self, text: str) -> None:
        """Shows one line that belongs to no phase."""
        ...


class SilentReporter:
    """Shows nothing; for use from Python."""

    @contextlib.contextmanager
    def phase(self, name: str, steps: int) -> Iterator[Advance]:  # noqa: ARG002 (protocol)
        """Opens a phase that is not shown."""
        yield lambda _steps, _bytes: None

    def note(self, text: str) -> None:
        """Drops the line."""


class ConsoleReporter:
    """Shows phases with rich.

    Args:
        console: Where to; standard error for the command line.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def phase(self, name: str, steps: int) -> Iterator[Advance]:
        """Shows a bar while the block runs (on a terminal) and a closing line when it ends."""
        started, total_bytes = time.monotonic(), 0
        columns = (
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=28),
            TaskProgressColumn(),
            TextColumn("{task.fields[size]:>10}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True, disable=not self._is_live) as bars:
            # a single step has no share to show: the bar pulses instead
            task = bars.add_task(name, total=steps if steps > 1 else None, size="")

            def advance(finished: int, nbytes: int) -> None:
                nonlocal total_bytes
                total_bytes += nbytes
                bars.update(task, advance=finished, size=decimal(total_bytes) if total_bytes else "")

            yield advance
        size = decimal(total_bytes) if total_bytes else ""
        self._console.print(
            f"{name:<12} {size:>10} {time.monotonic() - started:8.1f} s", highlight=False, markup=False
        )

    def note(self, text: str) -> None:
        """Prints the line."""
        self._console.print(text, highlight=False, markup=False)

    @property
    def _is_live(self) -> bool:
        return self._console.is_terminal and not self._console.is_dumb_terminal
