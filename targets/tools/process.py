"""Runs one job of a vendor's tool in a fresh process: crashes, hangs and stray output stay outside npuc."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from targets.errors import TargetError, ToolError
from targets.tools.environment import ToolEnvironment

REQUEST_NAME = "request.json"
RESULT_NAME = "result.json"
SCRIPT_NAME = "job.py"
OUTPUT_NAME = "output.txt"
_LONGEST_OUTPUT = 2000
_INHERITED = ("HOME", "LANG", "PATH", "TMPDIR")
_FIXED = {"MALLOC_PERTURB_": "255"}
"""glibc fills new memory with zeros (255 xor 255). Qualcomm's compiler pads weights with memory that it never wrote:
without this, remains of whatever the process did before would be shipped in the binary."""


class JobError(TargetError):
    """The vendor's tool refused, crashed or took too long (exit code 3). The message names a reproducer folder.

    Attributes:
        reproducer: That folder, with the request, the script and all output; None where there is none.
    """

    reproducer: Path | None = None


def run_job(
    environment: ToolEnvironment,
    script: Path,
    request: Mapping[str, Any],
    *,
    prepare: Callable[[Path], None],
    collect: Callable[[Path], None],
    seconds: float,
) -> dict[str, Any]:
    """Runs `python job.py` of the tool's environment in a temporary folder of its own.

    The script finds `request.json` and the files of `prepare` in its working folder. It leaves `result.json`: an
    object, with the key `refused` where the tool said no. On success the folder is removed; otherwise it is kept,
    script and all output included, so that the same fault can be made again without npuc.

    Args:
        environment: The installed tool.
        script: Python file that is copied to `job.py`; it may import only the tool's packages.
        request: JSON-able; written to `request.json`.
        prepare: Puts the job's files into the folder.
        collect: Takes the results out of the folder; called only after success.
        seconds: Time limit of the process and of all its children.

    Returns:
        The content of `result.json`.

    Raises:
        ToolError: The tool is not installed.
        JobError: It refused the job, crashed, or ran into the time limit.
    """
    python = environment.require()
    folder = Path(tempfile.mkdtemp(prefix=f"npuc-{environment.tool.name}-"))
    try:
        prepare(folder)
        shutil.copyfile(script, folder / SCRIPT_NAME)
        (folder / REQUEST_NAME).write_text(json.dumps(request, indent=1, sort_keys=True) + "\n", "utf-8")
        code = _execute([str(python), "-I", "-B", SCRIPT_NAME], folder, seconds)
        result = _result(environment.tool.title, folder, code, seconds)
        collect(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ToolError(
            f"cannot write the files of a job: {error.strerror or error}",
            where=str(error.filename or folder),
            remedy="free disk space, or name another temporary folder in TMPDIR",
        ) from error
    except JobError:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    return result


def _execute(command: list[str], folder: Path, seconds: float) -> int | None:
    """Returns the exit status; None after the time limit. All processes of the job have ended."""
    with (folder / OUTPUT_NAME).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=inherited(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _result(title: str, folder: Path, code: int | None, seconds: float) -> dict[str, Any]:
    if code is None:
        raise job_error(f"{title} took longer than {seconds:g} s and was ended", folder)
    if code < 0:
        raise job_error(f"{title} crashed ({signal.Signals(-code).name})", folder)
    try:
        result = json.loads((folder / RESULT_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        result = None
    if code != 0 or not isinstance(result, dict):
        raise job_error(f"{title} ended with status {code} and without a result", folder)
    if "refused" in result:
        raise job_error(f"{title} refused the model", folder, str(result["refused"]))
    return result


def inherited() -> dict[str, str]:
    """Returns the environment variables a job gets: nothing else of the user's environment reaches it."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | _FIXED


def job_error(what: str, folder: Path, received: str = "") -> JobError:
    """Makes the error that names the reproducer folder of a job.

    Args:
        what: One sentence.
        folder: Of the job; the end of its output stands in for `received` where that is empty.
        received: The tool's own words.
    """
    output = (folder / OUTPUT_NAME).read_bytes()[-_LONGEST_OUTPUT:].decode("utf-8", "replace")
    last_lines = "\n".join(output.strip().splitlines()[-3:])
    error = JobError(
        what,
        received=received or last_lines,
        remedy=f"see {folder}: the request, the script and all output; `python {SCRIPT_NAME}` runs it again",
    )
    error.reproducer = folder
    return error
