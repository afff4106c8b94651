"""The consoles that commands print to."""

from __future__ import annotations

import os
from typing import IO, Any

from rich.console import Console
from rich.text import Text

from program.model_names import visible

_COLUMNS = 120
"""Of a file or a pipe, such as the log of a CI job, which has no width of its own: names of layers fit."""


class _PlainConsole(Console):
    """Prints strings as they are: names of a model may hold what rich or a terminal takes for a command."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)


def open_console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """Returns a console as wide as the terminal, as the variable COLUMNS, or else of 120 columns.

    Args:
        stderr: Print to standard error instead of standard output.
        file: Print there instead.
    """
    console = _PlainConsole(stderr=stderr, file=file, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _COLUMNS
    return console
