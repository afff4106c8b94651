"""Starts a child process for data from strangers, and calls functions in it.

A fresh interpreter, never a fork: a process with the threads of torch or ONNX Runtime must not be forked. It starts in
about 0.05 s and imports only what the called function needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from exporter.sandbox.failures import ended, failed, out_of_memory, out_of_time, restore
from exporter.sandbox.limits import Limits
from exporter.sandbox.messages import receive, send

_WORKER = Path(__file__).with_name("worker.py")
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1"
)
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


class SandboxProcess:
    """One child; it keeps its state between calls. A context manager, though it also ends with this object.

    Args:
        limits: What it may use.
        what: What it does, for messages: "reading the model".
        where: The file, for messages.
    """

    def __init__(self, limits: Limits, *, what: str, where: str) -> None:
        self._limits, self._what, self._where = limits, what, where
        ours, theirs = socket.socketpair()
        # the kernel ends a child with the thread that started it; other threads than the main one may end early
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_WORKER), str(theirs.fileno()), _as_json(limits), str(parent)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD,
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._finalizer = weakref.finalize(self, _end, self._process, self._connection)

    def call(self, function: str, content: bytes = b"", **arguments: Any) -> Any:
        """Calls `function(content, **arguments)` in the child.

        Args:
            function: `module:name`; returns a JSON value or bytes.
            content: Bytes to work on.
            arguments: JSON values.

        Raises:
            DiagnosticError: What the function raised; or a SourceError that says how it failed, what it used too much
                of, or that it ended the child.
        """
        try:
            send(self._connection, {"function": function, "arguments": arguments}, content)
            if not self._connection.poll(self._limits.wall_seconds):
                self.close()
                raise out_of_time(self._what, self._where, self._limits.wall_seconds)
            header, data = receive(self._connection)
        except (EOFError, OSError) as error:
            self._connection.close()
            status = self._process.wait()
            raise ended(self._what, self._where, status, self._limits.memory, self._limits.seconds) from error
        return data if "bytes" in header else self._result(header)

    def _result(self, header: dict[str, Any]) -> Any:
        if "diagnostic" in header:
            raise restore(header["diagnostic"])
        if "failure" in header:
            raise failed(self._what, self._where, header["failure"])
        if "memory" in header:
            raise out_of_memory(self._what, self._where, self._limits.memory)
        return header["result"]

    def close(self) -> None:
        """Ends the child."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def call_once(
    function: str, content: bytes = b"", *, limits: Limits, what: str, where: str, **arguments: Any
) -> Any:
    """Calls one function in a child of its own; as `SandboxProcess.call`."""
    with SandboxProcess(limits, what=what, where=where) as process:
        return process.call(function, content, **arguments)


def _as_json(limits: Limits) -> str:
    return json.dumps(dataclasses.asdict(limits))


def _end(process: subprocess.Popen[bytes], connection: Connection[Any, Any]) -> None:
    with contextlib.suppress(OSError):
        connection.close()
    process.kill()
    process.wait()
