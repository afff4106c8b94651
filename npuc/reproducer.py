"""Keeps what is needed to look into an internal error."""

from __future__ import annotations

import json
import platform
import tempfile
import traceback
from pathlib import Path

from npuc.version import tool_versions


def write_reproducer(arguments: list[str], error: BaseException) -> Path:
    """Writes the command, the versions and the traceback of an internal error.

    Args:
        arguments: Command line without the program name.
        error: What was raised.

    Returns:
        The new folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="npuc-error-"))
    facts = {"arguments": arguments, "python": platform.python_version(), "machine": platform.machine()}
    text = json.dumps(facts | {"tools": tool_versions()}, indent=1, sort_keys=True)
    (folder / "command.json").write_text(text + "\n", "utf-8")
    (folder / "traceback.txt").write_text("".join(traceback.format_exception(error)), "utf-8")
    return folder
