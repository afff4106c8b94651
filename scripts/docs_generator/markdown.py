"""Markdown tables and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NOTICE = "<!-- Written by scripts/generate_docs.py; do not edit. -->\n\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines) + "\n"


def page(title: str, intro: str, sections: Iterable[str]) -> str:
    """Returns a page with a heading, an introduction and sections."""
    return f"{_NOTICE}# {title}\n\n{intro}\n\n" + "\n\n".join(section.strip() for section in sections) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
