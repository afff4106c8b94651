"""The child: limits itself, then calls the functions it is told to. A script; run it by its path.

Arguments: the descriptor of the connection, the limits as JSON, and the parent's process id (0 where the child may
outlive the thread that started it).
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def main() -> None:
    """Answers calls until the parent closes the connection."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from exporter.sandbox.isolation import leave_network, renounce_rights
    from exporter.sandbox.limits import Limits, allow_seconds, apply_limits
    from exporter.sandbox.messages import receive, send

    limits, parent = Limits(**json.loads(sys.argv[2])), int(sys.argv[3])
    leave_network()
    renounce_rights(parent)
    apply_limits(limits)
    gc.set_threshold(
        1_000_000
    )  # to look for cycles among millions of parsed lists takes longer than parsing them
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    while True:
        try:
            header, content = receive(connection)
        except (EOFError, OSError):
            return
        allow_seconds(limits.seconds)
        try:
            answer, data = _call(header, content)
        except MemoryError:
            answer, data = {"memory": True}, b""
        send(connection, answer, data)


def _call(header: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    """A function of `NAME(content: bytes, **arguments) -> JSON value | bytes`."""
    from exporter.sandbox.failures import describe
    from program.errors import DiagnosticError
    from program.shorten import shorten

    module, _, name = header["function"].partition(":")
    try:
        result = getattr(importlib.import_module(module), name)(content, **header["arguments"])
    except DiagnosticError as error:
        return {"diagnostic": describe(error)}, b""
    except MemoryError:
        raise
    except Exception as error:  # libraries fail at odd data with whatever class they hit
        return {"failure": shorten(error)}, b""
    return ({"bytes": True}, result) if isinstance(result, bytes) else ({"result": result}, b"")


if __name__ == "__main__":
    main()
