"""Runs a component's program, natively or under a CPU emulator, as a callable like the ONNX reference."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Self

import numpy as np

from program.program import Array, Feeds, TensorSpec
from targets.errors import ExecutionError, TargetError, ToolError

AARCH64_EMULATOR = ("qemu-aarch64", "-cpu", "max")
EMULATOR_COMMAND = "sudo apt-get install -y qemu-user"
"""Installs the user-mode emulators of every processor."""
_STDERR_LIMIT = 2000


def require_emulator(command: Sequence[str]) -> None:
    """Checks that an emulator is installed.

    Args:
        command: Of the emulator.

    Raises:
        ToolError: It is not; the remedy installs it.
    """
    if shutil.which(command[0]) is None:
        install = EMULATOR_COMMAND if command[0].startswith("qemu-") else f"install {command[0]}"
        raise ToolError(
            "the CPU emulator is not installed", where=command[0], remedy=f"install it: {install}"
        )


class EmulatedExecutor:
    """A process that runs a component again and again until it is closed.

    Args:
        binary: The runner program.
        weights: The weights file it was compiled against.
        inputs: Specs of the inputs, in order.
        outputs: Specs of the outputs, in order.
        emulator: Command put in front; empty to run the binary itself.
        time_limit_s: Longest time one run may take, in seconds.

    Raises:
        ToolError: The emulator is not installed.
    """

    def __init__(
        self,
        binary: Path,
        weights: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        emulator: Sequence[str] = AARCH64_EMULATOR,
        time_limit_s: float = 600.0,
    ) -> None:
        if emulator:
            require_emulator(emulator)
        self._command = [*emulator, str(binary), str(weights)]
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._time_limit_s = time_limit_s
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in __exit__)
        self._process: subprocess.Popen[bytes] | None = None
        self._timed_out = False

    def __enter__(self) -> Self:
        """Starts nothing yet: the process starts with the first run."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends the process."""
        self.close()
        self._stderr.close()

    def close(self) -> None:
        """Ends the process, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._process = None

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs the component once.

        Args:
            feeds: One array for each input, of exactly its dtype and shape; others are ignored.

        Returns:
            Outputs by name.

        Raises:
            TargetError: A feed is missing or has another dtype or shape.
            ExecutionError: The program crashed, ran too long or wrote too little; holds exit status, what it wrote to
                standard error and the command.
        """
        data = [_checked(feeds, spec) for spec in self._inputs]
        process = self._start()
        stdin, stdout = process.stdin, process.stdout
        if stdin is None or stdout is None:
            raise ExecutionError("the program has no pipes", where=self._command[0])
        with self._limited(process):
            try:
                for array in data:
                    stdin.write(array.tobytes())
                stdin.flush()
            except OSError as error:
                raise self._failure(process) from error
            return {spec.name: self._read(process, stdout, spec) for spec in self._outputs}

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._timed_out = False
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
            )
        return self._process

    @contextlib.contextmanager
    def _limited(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kills the process when the time is over, which ends every blocked read and write."""

        def stop() -> None:
            self._timed_out = True
            process.kill()

        timer = threading.Timer(self._time_limit_s, stop)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _read(self, process: subprocess.Popen[bytes], stdout: IO[bytes], spec: TensorSpec) -> Array:
        raw = stdout.read(spec.nbytes)
        if len(raw) < spec.nbytes:
            raise self._failure(process)
        array: Array = np.frombuffer(raw, spec.numpy_dtype).reshape(spec.shape)
        return array

    def _failure(self, process: subprocess.Popen[bytes]) -> ExecutionError:
        status = process.wait()
        self._stderr.seek(0)
        written = self._stderr.read()[-_STDERR_LIMIT:].decode("utf-8", "replace").strip()
        self.close()
        sizes = ", ".join(f"{spec.name} {spec.nbytes} B" for spec in self._inputs)
        return ExecutionError(
            f"the program ran longer than {self._time_limit_s} s"
            if self._timed_out
            else f"the program ended with {_status_text(status)}",
            where=" ".join(self._command),
            received=written or "nothing on standard error",
            remedy=f"reproduce: write the raw inputs ({sizes}) one after the other to standard input of the command",
        )


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-status).name}"
    return f"signal {-status}"


def _checked(feeds: Feeds, spec: TensorSpec) -> Array:
    if spec.name not in feeds:
        raise TargetError(
            "an input is missing", where=spec.name, received=", ".join(sorted(feeds)) or "nothing"
        )
    array = np.asarray(feeds[spec.name])
    if array.dtype != spec.numpy_dtype or array.shape != spec.shape:
        raise TargetError(
            "an input has the wrong type or shape",
            where=spec.name,
            received=f"{array.dtype}{list(array.shape)}",
            remedy=f"feed {spec.numpy_dtype}{list(spec.shape)}",
        )
    return np.ascontiguousarray(array)
