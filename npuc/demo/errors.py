"""Errors of the bundled model's data preparation and training."""

from __future__ import annotations

from exporter.errors import ExportError, SourceError


class ToolMissingError(ExportError):
    """A program that the data preparation calls is not installed (exit code 4: environment)."""

    exit_code = 4


class DataError(SourceError):
    """The training data is missing, incomplete or damaged (exit code 2: usage)."""
