"""Installs a tool from its hash-pinned lock: whole under its name, or not at all."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from targets.errors import ToolError
from targets.tools.environment import RECORD_NAME, ToolEnvironment
from targets.tools.tool import Tool

_PIP_SECONDS = 1800
_LINES_SHOWN = 5


class LicenceError(ToolError):
    """The tool's licence was not accepted (exit code 2: usage)."""

    exit_code = 2


def install_tool(environment: ToolEnvironment, accept_licence: bool) -> None:
    """Installs the tool, replacing another version of it; does nothing where it is current.

    Packages are made beside the final folder and renamed, so that an interrupted installation leaves the previous
    state. pip checks every wheel against the lock's hashes, installs nothing else and builds nothing.

    Args:
        environment: Where to.
        accept_licence: The user accepts the tool's licence; recorded in `installed.json`.

    Raises:
        LicenceError: The licence is not accepted.
        ToolError: This machine or its Python has no wheels, pip fails, or the folder cannot be written.
    """
    tool = environment.tool
    _require_acceptance(tool, accept_licence)
    _require_platform(tool)
    if environment.is_current():
        return
    try:
        environment.path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(environment)
        building = Path(tempfile.mkdtemp(dir=environment.path.parent, prefix=f".{tool.name}-{os.getpid()}-"))
    except OSError as error:
        raise _unwritable(environment.path, error) from error
    try:
        _fill(building, tool)
        shutil.rmtree(environment.path, ignore_errors=True)
        building.rename(environment.path)
    except OSError as error:
        raise _unwritable(environment.path, error) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _remove_leftovers(environment: ToolEnvironment) -> None:
    """Removes what installations left behind that were killed before they could clean up."""
    for folder in environment.path.parent.glob(f".{environment.tool.name}-*-*"):
        pid = folder.name.split("-")[-2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _require_acceptance(tool: Tool, accepted: bool) -> None:
    licence = tool.licence
    if licence is not None and not accepted:
        raise LicenceError(
            f"{tool.title} is the vendor's software under the {licence.name}. {licence.summary}",
            where=f"{licence.file} in the Python package {licence.package} {tool.version}",
            remedy=f"read it; if you accept it: {tool.install_command}",
        )


def _require_platform(tool: Tool) -> None:
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", tool.machine):
        raise ToolError(
            "the vendor offers this tool for another kind of machine",
            received=f"{system} {machine}",
            remedy=f"use a Linux machine with {tool.machine}",
        )
    if sys.version_info.major != 3 or sys.version_info.minor not in tool.python:
        raise ToolError(
            "the tool has no packages for this Python",
            received=platform.python_version(),
            remedy=f"run npuc with Python {' or '.join(f'3.{minor}' for minor in tool.python)}",
        )


def _fill(building: Path, tool: Tool) -> None:
    lock = building / "requirements.lock"
    lock.write_text(tool.lock(), "utf-8")
    venv = building / "venv"
    _run(tool, [sys.executable, "-m", "venv", str(venv)])
    python = str(venv / "bin" / "python")
    options = ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    _run(tool, [python, "-I", "-m", "pip", "install", *options, "--requirement", str(lock)])
    record: dict[str, object] = {
        "tool": tool.name,
        "package": tool.package,
        "version": tool.version,
        "lock_sha256": tool.lock_digest(),
        "python": platform.python_version(),
    }
    if tool.licence is not None:
        record["licence"] = {"name": tool.licence.name, "file": tool.licence.file, "accepted": True}
    (building / RECORD_NAME).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", "utf-8")


def _run(tool: Tool, command: list[str]) -> None:
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PIP_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(
            f"installing {tool.name} took longer than {_PIP_SECONDS} s; nothing was installed",
            remedy="check the connection to your package index, then run the command again",
        ) from error
    if answer.returncode != 0:
        raise _pip_error(tool, answer.stderr or answer.stdout)


def _pip_error(tool: Tool, output: str) -> ToolError:
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("WARNING")]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return ToolError(
            f"a package of {tool.name} is not the one npuc was tested with; nothing was installed",
            received="\n".join(line.strip() for line in lines[-_LINES_SHOWN:]),
            remedy="check where your package index gets its files from",
        )
    return ToolError(
        f"{tool.name} cannot be installed; nothing was changed",
        received="\n".join(line.strip() for line in lines[-_LINES_SHOWN:]),
        remedy="check the connection to your package index, then run the command again",
    )


def _unwritable(path: Path, error: OSError) -> ToolError:
    return ToolError(
        f"cannot write the tool's folder: {error.strerror or error}",
        where=str(error.filename or path),
        remedy="free disk space, or name another cache folder in NPUC_CACHE",
    )
