"""Executes a context binary on the vendor's emulation again and again in one process."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Self

import numpy as np

from program.program import Array, Feeds
from targets.snapdragon.htp.context_binary import ContextBinary
from targets.snapdragon.htp.executor import place_binary, require_loadable
from targets.snapdragon.htp.prepare import WORKER
from targets.tools.environment import ToolEnvironment
from targets.tools.process import REQUEST_NAME
from targets.tools.session import ToolSession
from targets.tools.tool import find_tool


class HtpSession:
    """A prepared graph as a callable; the process starts with the first call and serves all of them.

    Args:
        binary: What `prepare` returned; its checksum is checked once, before it is loaded.
        environment: The installed tool; the user's by default.
        seconds: Time limit of one call.
    """

    def __init__(
        self, binary: ContextBinary, environment: ToolEnvironment | None = None, seconds: float = 600.0
    ) -> None:
        self._binary = binary
        self._environment = environment or ToolEnvironment(find_tool("snapdragon"))
        self._seconds = seconds
        self._session: ToolSession | None = None

    def __enter__(self) -> Self:
        """Returns the session; nothing is started yet."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends the process."""
        self.close()

    def close(self) -> None:
        """Ends the process, if it runs."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the graph.

        Args:
            feeds: One array for each graph input, in the input's shape and dtype; others are ignored.

        Returns:
            Graph outputs by name.

        Raises:
            ExecutionError: The binary's files were changed, or it cannot be loaded (`require_loadable`).
            ToolError: The tool is not installed.
            JobError: The emulator refused the binary or the inputs, crashed or took too long. The reproducer folder
                holds the inputs.
        """
        return unpack(self._open().call(pack(0, feeds)))

    def _open(self) -> ToolSession:
        if self._session is None:
            require_loadable(self._binary)
            self._binary.check()
            self._session = ToolSession(
                self._environment,
                WORKER,
                self._request("serve"),
                prepare=lambda folder: place_binary(self._binary, folder),
                seconds=self._seconds,
                on_failure=self._keep_inputs,
            )
        return self._session

    def _request(self, action: str) -> dict[str, str | int]:
        return {"action": action, "model": self._binary.model, "soc_model": self._binary.soc_model}

    def _keep_inputs(self, folder: Path, message: bytes) -> None:
        """Turns the session's folder into a job that runs the failed call once."""
        (folder / REQUEST_NAME).write_text(json.dumps(self._request("run")), "utf-8")
        (folder / "inputs.npz").write_bytes(message[1:])


def pack(graph: int, feeds: Feeds) -> bytes:
    """Returns the message that asks the worker for outputs: number of the graph, inputs in npz form."""
    buffer = io.BytesIO()
    np.savez(buffer, **dict(feeds))  # type: ignore[arg-type]
    return bytes([graph]) + buffer.getvalue()


def unpack(answer: bytes) -> dict[str, Array]:
    """Returns the outputs in the worker's answer."""
    with np.load(io.BytesIO(answer), allow_pickle=False) as values:
        return {name: values[name] for name in values.files}
