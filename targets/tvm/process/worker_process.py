"""Generates code in a process of its own, which can be ended at any moment and may crash without taking npuc along."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from program.errors import DiagnosticError
from program.program import Component
from targets.errors import ToolError
from targets.tvm.process.component_files import write_component

_LONGEST_OUTPUT = 2000
_ROOT = Path(__file__).parents[3]


class CodeGenerationError(Exception):
    """Something npuc did not foresee, inside the worker; its traceback is a note of this error."""


class WorkerProcess:
    """Runs `targets.tvm.process.worker`; it lives until it is closed, so that TVM is imported once."""

    def __init__(self) -> None:
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "targets.tvm.process.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            env=_environment(),
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C is for the process that waits; and its own children end with it
        )

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
            ToolError: The process ended instead.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        line = ""
        if stdin is not None and stdout is not None:
            with contextlib.suppress(BrokenPipeError):
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
                line = stdout.readline()
        if not line:
            raise self._ended()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Ends the process and all that it started, whatever they do."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._output):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _ended(self) -> ToolError:
        status = self._process.wait()
        self._output.seek(0)
        written = self._output.read()[-_LONGEST_OUTPUT:].decode("utf-8", "replace").strip()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ToolError(
            f"the process that generates code ended with {how}",
            where=f"{sys.executable} -m targets.tvm.process.worker",
            received="\n".join(written.splitlines()[-3:]),
            remedy="free memory if it was killed for want of it; otherwise report this model",
        )


_lock = threading.Lock()
_workers: dict[int, WorkerProcess] = {}
"""By the process that asks: one that was forked off must not share its parent's worker."""


def generate(
    function: str,
    component: Component,
    arguments: Mapping[str, Any],
    folder: Path,
    modules: Sequence[str] = (),
) -> dict[str, Any]:
    """Calls a function on a component in the worker.

    Args:
        function: `module:name`; takes a component and `arguments`, and returns a dataclass.
        component: Its graph is handed over in a file.
        arguments: JSON-able.
        folder: Existing, for that file.
        modules: Imported first, such as one that registers converters.

    Returns:
        The fields of the dataclass, as JSON has them.

    Raises:
        DiagnosticError: What the function raised.
        ToolError: The worker ended.
        CodeGenerationError: The function raised another error.
    """
    with _lock, tempfile.TemporaryDirectory(prefix=".worker-", dir=folder) as temporary:
        request = {
            "function": function,
            "component": write_component(component, Path(temporary)),
            "arguments": arguments,
            "modules": list(modules),
            "path": [entry for entry in sys.path if entry],  # it may have grown since the worker started
        }
        try:
            answer = _worker().ask(request)
        except BaseException:  # a signal, too: the worker would go on for minutes
            _close()
            raise
    return _result(answer)


def _worker() -> WorkerProcess:
    if os.getpid() not in _workers:
        _workers[os.getpid()] = WorkerProcess()
    return _workers[os.getpid()]


@atexit.register
def _close() -> None:
    worker = _workers.pop(os.getpid(), None)
    if worker is not None:
        worker.close()


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        raise _restored(answer["error"]["kind"], answer["error"]["fields"])
    if "fault" in answer:
        fault = CodeGenerationError(answer["fault"]["text"])
        fault.add_note(answer["fault"]["traceback"])
        raise fault
    result: dict[str, Any] = answer["result"]
    return result


def _restored(kind: str, fields: Mapping[str, str]) -> DiagnosticError:
    """The parts are as the terminal shows them already: a constructor would indent them again."""
    module, _, name = kind.partition(":")
    error: DiagnosticError = getattr(importlib.import_module(module), name)("")
    vars(error).update(fields)
    error.args = (error.render(),)
    return error


def _environment() -> dict[str, str]:
    """The caller's, where npuc is found also if it is not installed."""
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
