"""Keeps what a model says from controlling the terminal it is printed on."""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """Returns the text without control characters other than line breaks and tabs.

    A model may emit any bytes; escape sequences could move the cursor, change the title or set a clipboard.

    Args:
        text: Anything.
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
