"""What npuc knows about a vendor's tool before it is installed."""

from __future__ import annotations

import dataclasses
import hashlib
import pkgutil
from importlib import resources
from importlib.metadata import entry_points
from typing import cast

from program.offers import load_offer
from targets.errors import ToolError


@dataclasses.dataclass(frozen=True)
class Licence:
    """The terms a user accepts before npuc installs a tool.

    Attributes:
        name: The vendor's name of the terms.
        package: Python package that carries the text.
        file: The text's path inside the installed package.
        summary: What a user should know before reading on; no substitute for the text.
    """

    name: str
    package: str
    file: str
    summary: str


@dataclasses.dataclass(frozen=True)
class Tool:
    """A vendor's compiler as a set of hash-pinned Python packages. npuc contains none of it.

    Attributes:
        name: Name on the command line.
        title: One line for tables.
        package: Package whose version stands for the tool's.
        version: That version, as in the lock.
        requirements: What `scripts/lock_tool.py` resolves.
        python: Minor versions of Python 3 the lock has wheels for.
        machine: `platform.machine()` the lock has wheels for; the system is Linux.
        lock_file: `package:file` of its lock.
        licence: The terms of its proprietary part; None where it is open-source all through.
    """

    name: str
    title: str
    package: str
    version: str
    requirements: tuple[str, ...]
    python: tuple[int, ...]
    machine: str
    lock_file: str
    licence: Licence | None = None

    @property
    def install_command(self) -> str:
        """The one command that installs the tool."""
        return f"npuc tools install {self.name}{' --accept-licence' if self.licence else ''}"

    def lock(self) -> str:
        """Returns the requirements file with a hash for every wheel."""
        package, _, name = self.lock_file.partition(":")
        return (resources.files(package) / name).read_text("utf-8")

    def lock_digest(self) -> str:
        """Returns the SHA-256 of the lock, which identifies an installation."""
        return hashlib.sha256(self.lock().encode()).hexdigest()


ENTRY_POINT_GROUP = "npuc.tools"
"""An entry point of this group, named as the tool, names a `Tool`."""

_BUILT_IN = {"snapdragon": "targets.snapdragon.tool:SNAPDRAGON"}


def tool_names() -> tuple[str, ...]:
    """Names of all tools, sorted."""
    return tuple(sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))}))


def find_tool(name: str) -> Tool:
    """Returns a tool by name.

    Raises:
        ToolError: There is none of that name, or the package that offers it cannot be loaded.
    """
    if name in _BUILT_IN:
        return cast("Tool", pkgutil.resolve_name(_BUILT_IN[name]))
    for entry in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast("Tool", load_offer(entry, "this tool", ToolError))
    raise ToolError("no such tool", received=name, remedy=f"use one of {', '.join(tool_names())}")
