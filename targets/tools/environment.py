"""Where an installed tool lives, and whether it is the one that npuc's lock describes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from program.cache_folder import default_cache
from targets.errors import ToolError
from targets.tools.tool import Tool

RECORD_NAME = "installed.json"
"""Written last: a folder without it is no installation."""


class ToolEnvironment:
    """One tool's virtual environment in the user's cache.

    Args:
        tool: What is installed there.
        folder: Folder of all tools; npuc's cache by default.
    """

    def __init__(self, tool: Tool, folder: Path | None = None) -> None:
        self.tool = tool
        self.path = (folder or default_cache() / "tools") / tool.name

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.path / "venv" / "bin" / "python"

    def record(self) -> dict[str, Any] | None:
        """Returns what was installed and which licence was accepted; None where nothing whole is there."""
        try:
            record = json.loads((self.path / RECORD_NAME).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) and self.python.exists() else None

    def is_current(self) -> bool:
        """Whether the installation is the one of this version's lock."""
        record = self.record()
        return record is not None and record.get("lock_sha256") == self.tool.lock_digest()

    def require(self) -> Path:
        """Returns the interpreter of an installation that is whole and current.

        Raises:
            ToolError: It is missing, or of another version; the remedy is the command that installs it.
        """
        if self.is_current():
            return self.python
        record = self.record()
        what = "is not installed" if record is None else "is installed in another version"
        raise ToolError(
            f"the tool {self.tool.name} {what}",
            where=str(self.path),
            received="" if record is None else f"{self.tool.package} {record.get('version', 'unknown')}",
            remedy=self.tool.install_command,
        )

    def remove(self) -> bool:
        """Removes the tool; returns whether there was anything.

        Raises:
            ToolError: A file cannot be removed.
        """
        if not self.path.exists():
            return False
        try:
            shutil.rmtree(self.path)
        except OSError as error:
            raise ToolError(
                f"cannot remove the tool: {error.strerror or error}",
                where=str(error.filename or self.path),
                remedy="close what uses it, and check the folder's permissions",
            ) from error
        return True
