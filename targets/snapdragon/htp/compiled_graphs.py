"""Executes graphs on the vendor's emulation in the process that compiles them.

The emulation crashes at a binary of several graphs when it loads it from a file, and does not load one for several
chips at all; measured with onnxruntime-qnn 2.7.0. It does execute the graphs in the process that compiled them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from program.program import Array, Feeds
from targets.snapdragon.htp.prepare import INPUTS_NAME, WORKER, compile_request, place_models, source_folder
from targets.snapdragon.htp.session import pack, unpack
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.process import REQUEST_NAME
from targets.tools.session import ToolSession

_SECONDS = 3600.0
"""Limit of compiling all graphs: a part with 0.4 GB of weights takes 300 s on a loaded workstation."""

Compiled = Callable[[Path, Mapping[str, Any]], None]
"""Told the folder of the compiled files and what the compiler recorded: `compatibility` and `binary`."""


class CompiledGraphs:
    """One process that compiles graphs with its first call and executes them until its last user has left.

    Args:
        models: ONNX files by the names of the prepared files, in the order in which they are compiled.
        soc: The chip.
        environment: The installed tool.
        on_compiled: Takes or checks what was compiled, before anything is executed.
    """

    def __init__(
        self, models: Mapping[str, Path], soc: HtpSoc, environment: ToolEnvironment, on_compiled: Compiled
    ) -> None:
        self._models, self._soc, self._environment = dict(models), soc, environment
        self._on_compiled = on_compiled
        self._session: ToolSession | None = None
        self._users = 0

    def enter(self) -> None:
        """Registers a user."""
        self._users += 1

    def leave(self) -> None:
        """Forgets a user; without any the process ends."""
        self._users -= 1
        if self._users == 0 and self._session is not None:
            self._session.close()
            self._session = None

    def run(self, file: str, feeds: Feeds) -> dict[str, Array]:
        """Runs the graph of a prepared file; the first call compiles all graphs.

        Args:
            file: Name of the prepared file.
            feeds: One array for each graph input, in the input's shape and dtype; others are ignored.

        Returns:
            Graph outputs by name.

        Raises:
            ToolError: The tool is not installed, or a file cannot be written.
            JobError: The tool refused the graphs or the inputs, crashed or took too long.
        """
        if self._session is None:
            self._session = self._start()
        return unpack(self._session.call(pack(list(self._models).index(file), feeds)))

    def _start(self) -> ToolSession:
        return ToolSession(
            self._environment,
            WORKER,
            compile_request(self._models, [self._soc], action="serve"),
            prepare=lambda folder: place_models(self._models.values(), folder),
            seconds=_SECONDS,
            on_failure=self._keep_inputs,
            on_start=lambda folder, answer: self._on_compiled(folder, json.loads(answer)),
        )

    def _keep_inputs(self, folder: Path, message: bytes) -> None:
        """Turns the session's folder into a job that compiles the graphs and runs the failed call once."""
        for path in (*(folder / file for file in self._models), *folder.glob("*_qnn.bin")):
            path.unlink(missing_ok=True)  # the compiler does not replace files
        samples = []
        if message:
            samples = [list(self._models)[message[0]]]
            (folder / source_folder(message[0]) / INPUTS_NAME).write_bytes(message[1:])
        request = compile_request(self._models, [self._soc], samples)
        (folder / REQUEST_NAME).write_text(json.dumps(request), "utf-8")
