"""What other packages offer under an entry point group of npuc's."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from program.errors import DiagnosticError


def load_offer(entry: EntryPoint, what: str, error_class: type[DiagnosticError]) -> Any:
    """Imports what an entry point names.

    Args:
        entry: The entry point.
        what: What it offers, such as `a tool`.
        error_class: Of the folder that asks.

    Raises:
        DiagnosticError: The package cannot be loaded; of the class given.
    """
    try:
        return entry.load()
    except Exception as error:
        raise broken_offer(entry, what, error_class, error) from error


def broken_offer(
    entry: EntryPoint, what: str, error_class: type[DiagnosticError], error: Exception
) -> DiagnosticError:
    """Returns the error for a package whose offer fails; see `load_offer`."""
    return error_class(
        f"the package that offers {what} cannot be loaded",
        where=f"{entry.name} = {entry.value}",
        received=f"{type(error).__name__}: {error}",
        remedy="repair or uninstall that package",
    )


def call_offer(entry: EntryPoint, what: str, error_class: type[DiagnosticError]) -> Any:
    """Imports the function that an entry point names, and returns what it returns; see `load_offer`."""
    function = load_offer(entry, what, error_class)
    try:
        return function()
    except Exception as error:
        raise broken_offer(entry, what, error_class, error) from error
