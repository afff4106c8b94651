"""TOML of strangers: a regular file of bounded size and depth."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from exporter.files.regular_file import read_regular

SIZE_LIMIT = 1 << 20
"""Bytes of a file."""

LINE_DOTS = 200
"""Dots in a line: the parser takes memory with the square of a dotted key's length."""


class TomlError(ValueError):
    """A text is not TOML, or deeper than any file of npuc's."""


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a file.

    Raises:
        SourceError: It is not a regular file, cannot be read, or is larger than 1 MiB.
        TomlError: It is not TOML.
    """
    data = read_regular(path, SIZE_LIMIT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TomlError(str(error)) from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > LINE_DOTS:
            raise TomlError(f"line {number} has more than {LINE_DOTS} dots")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also integers of thousands of digits
        raise TomlError(str(error)) from error
