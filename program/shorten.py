"""One line of a foreign exception, for an error message of npuc's own."""

from __future__ import annotations


def shorten(error: BaseException, limit: int = 300) -> str:
    """Returns the class and the first telling lines of a foreign exception, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {' '.join(lines)}"
    return text if len(text) <= limit else text[: limit - 1] + "…"
