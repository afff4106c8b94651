"""Keeps what a model says, and what its parts are named, from controlling the terminal it is printed on."""

from __future__ import annotations

import unicodedata

from rich.console import RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from program.model_names import one_line


def printable(text: str) -> str:
    """Returns the text without control characters other than line breaks and tabs.

    A model may emit any bytes; escape sequences could move the cursor, change the title or set a clipboard.

    Args:
        text: Anything.
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def text_table(title: str | None = None) -> Table:
    """Returns an empty table whose cells are shown as they are; a cell with a style of its own is a `Text`."""
    return _TextTable(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold")


class _TextTable(Table):
    def add_row(
        self,
        *renderables: RenderableType | None,
        style: str | Style | None = None,
        end_section: bool = False,
    ) -> None:
        cells = (Text(one_line(cell)) if isinstance(cell, str) else cell for cell in renderables)
        super().add_row(*cells, style=style, end_section=end_section)
