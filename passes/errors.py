"""The base class of everything a pass refuses."""

from __future__ import annotations

from exporter.errors import DiagnosticError


class PassError(DiagnosticError):
    """A pass met a graph or a setting it does not support (exit code 3)."""

    exit_code = 3
