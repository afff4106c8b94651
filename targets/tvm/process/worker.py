"""`python -m targets.tvm.process.worker`: the process that generates code, one request after the other.

A request is a line of JSON on standard input: `function` (`module:name`), `component` and `arguments`. The answer is a
line of JSON on standard output: `result`, `error` or `fault`. All else that TVM or LLVM print goes to standard error.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any

from program.errors import DiagnosticError
from targets.tvm.process.component_files import read_component
from targets.tvm.process.without_torch import import_tvm


def main() -> None:
    """Answers until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    import_tvm()
    while True:
        answers.write(json.dumps(answer(json.loads(requests.get()))) + "\n")
        answers.flush()


def _read(requests: queue.SimpleQueue[str]) -> None:
    """Standard input ends with the process that asks, which may be killed while code is generated for it."""
    for line in sys.stdin:
        requests.put(line)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the cross compiler too
    os._exit(0)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Calls the function of a request with the component and its further arguments.

    Returns:
        `result`: the fields of the dataclass the function returned; `error`: those of a `DiagnosticError`; `fault`:
        the traceback of anything else.
    """
    try:
        sys.path += [entry for entry in request["path"] if entry not in sys.path]
        for module in request["modules"]:
            importlib.import_module(module)
        module, _, name = request["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        result = function(read_component(request["component"]), **request["arguments"])
        return {"result": dataclasses.asdict(result)}
    except DiagnosticError as error:
        kind = f"{type(error).__module__}:{type(error).__name__}"
        fields = {name: getattr(error, name) for name in ("what", "where", "received", "remedy")}
        return {"error": {"kind": kind, "fields": fields}}
    except Exception as error:  # a fault of npuc or of TVM; the process that asks says so
        return {"fault": {"text": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}}


if __name__ == "__main__":
    main()
