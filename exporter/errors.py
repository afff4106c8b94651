"""What the exporter refuses."""

from __future__ import annotations

from program.errors import DiagnosticError


class ExportError(DiagnosticError):
    """The model source cannot be read or captured (exit code 3: not supported)."""

    exit_code = 3


class SourceError(ExportError):
    """The named source is missing, unreadable or damaged (exit code 2: usage)."""

    exit_code = 2


class RequestError(DiagnosticError):
    """A request does not fit the captured program: prompt too long, no image where one is needed … (exit code 2)."""

    exit_code = 2
