"""A vendor's tool that stays alive for many calls: loading a network costs more than running it once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from targets.errors import ToolError
from targets.tools.environment import ToolEnvironment
from targets.tools.process import OUTPUT_NAME, REQUEST_NAME, SCRIPT_NAME, JobError, inherited, job_error

_LENGTH_BYTES = 8


class ToolSession:
    """One process of a tool in a temporary folder of its own, asked again and again over its pipes.

    The script is started as `run_job` starts it, and then answers messages: eight bytes of length (little endian) and
    that many bytes of content. Each answer begins with one more byte: 0 for a result, 1 for a refusal in words. Its
    first answer, before any message, tells whether it could start. Everything it prints goes to `output.txt`.

    Args:
        environment: The installed tool.
        script: Python file that is copied to `job.py`.
        request: JSON-able; written to `request.json`.
        prepare: Puts the session's files into the folder.
        seconds: Time limit of one answer.
        on_failure: Leaves what reproduces a failed message in the folder; given the folder and the message.
        on_start: Given the folder and the first answer; an error it raises ends the session.

    Raises:
        ToolError: The tool is not installed, or a file cannot be written.
        JobError: It refused to start, crashed or took too long.
    """

    def __init__(
        self,
        environment: ToolEnvironment,
        script: Path,
        request: Mapping[str, Any],
        *,
        prepare: Callable[[Path], None],
        seconds: float,
        on_failure: Callable[[Path, bytes], None],
        on_start: Callable[[Path, bytes], None] = lambda _folder, _answer: None,
    ) -> None:
        python = environment.require()
        self._title, self._seconds, self._on_failure = environment.tool.title, seconds, on_failure
        self._folder = Path(tempfile.mkdtemp(prefix=f"npuc-{environment.tool.name}-"))
        self._timed_out = self._has_failed = False
        try:
            prepare(self._folder)
            shutil.copyfile(script, self._folder / SCRIPT_NAME)
            text = json.dumps(request, indent=1, sort_keys=True) + "\n"
            (self._folder / REQUEST_NAME).write_text(text, "utf-8")
            self._process = _start([str(python), "-I", "-B", SCRIPT_NAME], self._folder)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise ToolError(
                f"cannot write the files of a session: {error.strerror or error}",
                where=str(error.filename or self._folder),
                remedy="free disk space, or name another temporary folder in TMPDIR",
            ) from error
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            on_start(self._folder, self._answer(b""))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Returns the session."""
        return self

    def __exit__(self, *raised: object) -> None:
        """Ends the session."""
        self.close()

    def close(self) -> None:
        """Ends the process and its children and removes the folder, unless it reproduces a failure."""
        self._end()
        if not self._has_failed:
            shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, message: bytes) -> bytes:
        """Sends a message and returns the result.

        Raises:
            JobError: The tool refused it, crashed or took too long. The session is over; its folder is kept.
        """
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            raise JobError("the session has ended", where=self._title)
        # a process that has died is noticed when its answer is read
        with self._limited(), contextlib.suppress(OSError):
            pipe.write(len(message).to_bytes(_LENGTH_BYTES, "little"))
            pipe.write(message)
            pipe.flush()
        return self._answer(message)

    def _answer(self, message: bytes) -> bytes:
        pipe = self._process.stdout
        with self._limited():
            header = _read(pipe, 1 + _LENGTH_BYTES)
            size = int.from_bytes(header[1:], "little")
            content = _read(pipe, size) if len(header) == 1 + _LENGTH_BYTES else b""
        if len(header) <= _LENGTH_BYTES or len(content) < size:
            raise self._failed(message, self._ended())
        if header[0] != 0:
            text = content.decode("utf-8", "replace")
            raise self._failed(message, f"{self._title} refused the model", text)
        return content

    @contextlib.contextmanager
    def _limited(self) -> Iterator[None]:
        """Kills the process when the time is over, which ends every blocked read and write."""

        def stop() -> None:
            self._timed_out = True
            self._process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _ended(self) -> str:
        if self._timed_out:
            return f"{self._title} took longer than {self._seconds:g} s and was ended"
        code = self._process.wait()
        if code < 0:
            return f"{self._title} crashed ({signal.Signals(-code).name})"
        return f"{self._title} ended with status {code} and without a result"

    def _failed(self, message: bytes, what: str, received: str = "") -> JobError:
        self._end()
        self._has_failed = True
        self._on_failure(self._folder, message)
        return job_error(what, self._folder, received)

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / OUTPUT_NAME).open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=inherited(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )


def _read(pipe: IO[bytes] | None, size: int) -> bytes:
    return b"" if pipe is None else pipe.read(size)
