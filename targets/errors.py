"""Errors of the targets: what cannot be lowered, which tool is missing, which binary failed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from program.errors import DiagnosticError


class TargetError(DiagnosticError):
    """The component or device cannot be served by this target (exit code 3)."""

    exit_code = 3


class RefusedNodesError(TargetError):
    """A vendor's compiler names nodes that it does not take although npuc's rules do (exit code 3).

    Args:
        what: One sentence.
        nodes: Their names in the component's graph.
        where: The component.
        received: The compiler's own words.
        remedy: Where the failed job is kept.
        reproducer: Its folder.

    Attributes:
        processor: Whose compiler it is; set by who called it.
    """

    def __init__(
        self, what: str, *, nodes: Sequence[str], where: str, received: str, remedy: str, reproducer: Path
    ) -> None:
        super().__init__(what, where=where, received=received, remedy=remedy)
        self.nodes = tuple(nodes)
        self.reproducer = reproducer
        self.processor = ""


class ToolError(TargetError):
    """A program of the environment is missing or failed (exit code 4); the remedy names its install command."""

    exit_code = 4


class ExecutionError(TargetError):
    """An emitted binary crashed, timed out or wrote too little (exit code 1: it must not ship)."""

    exit_code = 1


class UnknownDeviceError(TargetError):
    """No device of that name, tier or target is in the catalogue (exit code 2: usage)."""

    exit_code = 2


class DeviceFileError(TargetError):
    """A device description cannot be read or breaks a rule (exit code 2: usage)."""

    exit_code = 2
