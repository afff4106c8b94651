"""The consoles that commands print to."""

from __future__ import annotations

import os

from rich.console import Console

_COLUMNS = 120
"""Of a file or a pipe, such as the log of a CI job, which has no width of its own: names of layers fit."""


def open_console(*, stderr: bool = False) -> Console:
    """Returns a console as wide as the terminal, as the variable COLUMNS, or else of 120 columns.

    Args:
        stderr: Print to standard error instead of standard output.
    """
    console = Console(stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _COLUMNS
    return console
