"""How a child's failure reaches the user: its own error as it is, and one line for each way in which a process ends."""

from __future__ import annotations

import signal

import exporter.errors
from exporter.errors import SourceError
from program.errors import DiagnosticError

_REMEDY = "if you trust where it is from, report it; otherwise do not use it"


def describe(error: DiagnosticError) -> dict[str, str]:
    """Returns an error as plain data, under the nearest class that `exporter.errors` has."""
    kind = next(cls for cls in type(error).__mro__ if getattr(exporter.errors, cls.__name__, None) is cls)
    # the constructor indents further lines, once more in the parent
    parts = {key: value.replace("\n    ", "\n") for key, value in _parts(error).items()}
    return {"kind": kind.__name__, **parts}


def restore(description: dict[str, str]) -> DiagnosticError:
    """Returns the error that `describe` was given."""
    kind: type[DiagnosticError] = getattr(exporter.errors, description["kind"])
    parts = {key: description[key] for key in ("where", "received", "remedy")}
    return kind(description["what"], **parts)


def _parts(error: DiagnosticError) -> dict[str, str]:
    return {"what": error.what, "where": error.where, "received": error.received, "remedy": error.remedy}


def failed(what: str, where: str, received: str) -> SourceError:
    """A library failed in the child.

    Args:
        what: What was being done, such as "reading the model".
        where: File.
        received: The library's words.
    """
    return SourceError(f"{what} failed: it is damaged", where=where, received=received, remedy=_REMEDY)


def out_of_memory(what: str, where: str, memory: int) -> SourceError:
    """The child reached its limit of memory and said so."""
    return SourceError(f"{what} needs more than {memory >> 20} MiB of memory", where=where, remedy=_REMEDY)


def out_of_time(what: str, where: str, seconds: float) -> SourceError:
    """The child did not answer in time."""
    return SourceError(f"{what} takes longer than {seconds:g} seconds", where=where, remedy=_REMEDY)


def ended(what: str, where: str, status: int, memory: int, seconds: int) -> SourceError:
    """The child ended by itself.

    Args:
        what: See `failed`.
        where: See `failed`.
        status: As `subprocess.Popen.returncode`: negative for a signal.
        memory: Its limit in bytes.
        seconds: Its limit of processor time.
    """
    if status == -signal.SIGXCPU:
        return out_of_time(what, where, seconds)
    how = f"exit code {status}"
    if status < 0:
        how = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    return SourceError(
        f"{what} ended the process that did it: it is damaged, or needs more than {memory >> 20} MiB of memory",
        where=where,
        received=how,
        remedy=_REMEDY,
    )
