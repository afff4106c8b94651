"""Errors of the driver. Exit codes are listed in docs/exit-codes.md."""

from __future__ import annotations

from program.errors import DiagnosticError


class RecipeError(DiagnosticError):
    """A recipe cannot be read or has an unknown or wrong key (exit code 2)."""

    exit_code = 2


class UsageError(DiagnosticError):
    """The command line asks for something contradictory or absent (exit code 2)."""

    exit_code = 2


class StageUnavailableError(DiagnosticError):
    """A recipe names a stage that this version of npuc does not contain (exit code 3)."""

    exit_code = 3


class ArtifactError(DiagnosticError):
    """An artifact is damaged, incomplete or of another version (exit code 1)."""

    exit_code = 1


class AgreementError(DiagnosticError):
    """A binary does not agree with the reference within its bound (exit code 1)."""

    exit_code = 1


class ResourceError(DiagnosticError):
    """The machine lacks something: disk space, a program, a permission (exit code 4)."""

    exit_code = 4
