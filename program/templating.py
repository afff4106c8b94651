"""Templates of files that npuc writes; whatever a model or a device file says is escaped in them."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from program.model_names import c_string, markdown_code, markdown_text, one_line, shell_word


def text_templates(package: str, folder: str = "") -> Environment:
    """Returns the templates of Markdown files; an unknown name in one is an error.

    Their filters are `md` and `code` for text, `sh` for a word of a shell line, and `c` for a string of C.

    Args:
        package: That contains them.
        folder: Inside the package.
    """
    environment = Environment(
        loader=PackageLoader(package, folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (Markdown, not HTML)
        finalize=_plain,
    )
    environment.filters |= {"md": markdown_text, "code": markdown_code, "sh": shell_word, "c": c_string}
    return environment


def html_templates(package: str, folder: str = "") -> Environment:
    """Returns the templates of HTML files; an unknown name in one is an error.

    Args:
        package: That contains them.
        folder: Inside the package.
    """
    return Environment(
        loader=PackageLoader(package, folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        finalize=_plain,
    )


def _plain(value: Any) -> Any:
    """Text without control characters; what a template marks as safe is npuc's own."""
    return one_line(value) if isinstance(value, str) and not isinstance(value, Markup) else value
