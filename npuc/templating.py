"""Templates of text files that npuc writes."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def text_templates() -> Environment:
    """Returns the templates of files that are not HTML; an unknown name in one is an error."""
    return Environment(
        loader=PackageLoader("npuc"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (Markdown, not HTML)
    )
