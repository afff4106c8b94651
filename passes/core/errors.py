"""What passes refuse."""

from __future__ import annotations

from program.errors import DiagnosticError


class PassError(DiagnosticError):
    """A pass met a graph or a setting it does not support (exit code 3)."""

    exit_code = 3


class FormatRangeError(PassError):
    """A graph has values that a number format does not hold in any form (exit code 3)."""
