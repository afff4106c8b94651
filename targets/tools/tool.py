"""What npuc knows about a vendor's tool before it is installed."""

from __future__ import annotations

import dataclasses
import hashlib
from importlib import resources

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
        licence: The terms of its proprietary part.
    """

    name: str
    title: str
    package: str
    version: str
    requirements: tuple[str, ...]
    python: tuple[int, ...]
    machine: str
    licence: Licence

    @property
    def install_command(self) -> str:
        """The one command that installs the tool."""
        return f"npuc tools install {self.name} --accept-licence"

    def lock(self) -> str:
        """Returns the requirements file with a hash for every wheel."""
        file = resources.files("targets.tools") / "locks" / f"{self.name}.lock"
        return file.read_text("utf-8")

    def lock_digest(self) -> str:
        """Returns the SHA-256 of the lock, which identifies an installation."""
        return hashlib.sha256(self.lock().encode()).hexdigest()


_SNAPDRAGON = Tool(
    name="snapdragon",
    title="Qualcomm's HTP compiler and emulator (ONNX Runtime's QNN provider)",
    package="onnxruntime-qnn",
    version="2.7.0",
    requirements=(
        "onnxruntime-qnn==2.7.0",
        "onnxruntime==1.32.0",
        "onnx==1.23.2",
        "numpy==2.4.6",
        "ml_dtypes==0.6.0",
    ),
    python=(11, 12, 13),
    machine="x86_64",
    licence=Licence(
        name="Qualcomm AI Stack License",
        package="onnxruntime-qnn",
        file="onnxruntime_qnn/Qualcomm_LICENSE.pdf",
        summary=(
            "It covers the compiler's libraries, not npuc. Among others it forbids reverse engineering, lists"
            " prohibited uses, and lets you distribute the libraries only inside your own application."
        ),
    ),
)

TOOLS: dict[str, Tool] = {tool.name: tool for tool in (_SNAPDRAGON,)}
"""Every tool by name."""


def find_tool(name: str) -> Tool:
    """Returns a tool by name.

    Raises:
        ToolError: There is none of that name.
    """
    if name not in TOOLS:
        raise ToolError("no such tool", received=name, remedy=f"use one of {', '.join(sorted(TOOLS))}")
    return TOOLS[name]
