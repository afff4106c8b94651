"""Turns the names and texts of a model into what may stand in a file, a C source, a shell line or on a terminal.

Names of nodes, values and functions are data from strangers: a name may hold a line break, a `*/`, a quote or an escape
sequence. Whoever writes one somewhere asks here for its form there.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_HASHED = re.compile(r"_x[0-9a-f]{16}$")
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", re.ASCII)
_KEPT_CHARACTERS = 64
_FILE_CHARACTERS = 120


def c_identifier(name: str) -> str:
    """Returns an identifier for a name; different names have different ones.

    Args:
        name: Kept as it is where it is an identifier; otherwise its safe characters and a hash remain.
    """
    if _IDENTIFIER.fullmatch(name) and not _HASHED.search(name):
        return name
    return f"n_{re.sub('[^A-Za-z0-9]+', '_', name)[:_KEPT_CHARACTERS]}_x{_hash(name)}"


def file_name(name: str) -> str:
    """Returns a file name, without a suffix, inside the folder it is used in; different names have different ones.

    Args:
        name: Kept as it is where it holds letters, digits and `_.-` only; otherwise its safe characters, `~` and a
            hash remain.
    """
    if _FILE.fullmatch(name) and len(name) <= _FILE_CHARACTERS:
        return name
    return f"{re.sub('[^A-Za-z0-9]+', '_', name)[:_KEPT_CHARACTERS]}~{_hash(name)}"


def c_text(text: str) -> str:
    r"""Returns text for a comment of a C source; it cannot end the comment, nor the line.

    Args:
        text: Characters other than printable ones, and those that mean something in a comment, are written as `\x2a`.
    """
    return _escaped(text, lambda character: character.isprintable() and character not in "*\\?")


def c_string(text: str) -> str:
    """Returns a string literal of C and C++, with its quotes."""
    kept = (
        chr(byte) if 0x20 <= byte < 0x7F and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "backslashreplace")
    )
    return f'"{"".join(kept)}"'


def shell_word(text: str) -> str:
    """Returns one word of a POSIX shell, quoted where it has to be; control characters are written out."""
    return shlex.quote(one_line(text))


def markdown_text(text: str) -> str:
    """Returns text for a line or a table cell of Markdown, without markup or HTML."""
    return (
        re.sub(r"([\\`*_{}\[\]<>#|!&~])", r"\\\1", one_line(text))
        .replace(r"\<", "&lt;")
        .replace(r"\&", "&amp;")
    )


def markdown_code(text: str) -> str:
    """Returns a code span of Markdown that also may stand in a table."""
    return f"`{one_line(text).replace('`', chr(39)).replace('|', '¦')}`"


def one_line(text: str) -> str:
    r"""Returns text for people: control characters and line breaks are written as `\x1b`, other text stays."""
    return _escaped(text, str.isprintable)


def visible(text: str) -> str:
    """Like `one_line`, for text of several lines: line breaks and tabs stay."""
    return _escaped(text, lambda character: character in "\n\t" or character.isprintable())


def _escaped(text: str, is_kept: Callable[[str], bool]) -> str:
    return "".join(character if is_kept(character) else _escape(ord(character)) for character in text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
