"""Compiles an ONNX file for one chip's HTP, in a fresh process."""

from __future__ import annotations

import shutil
import tempfile
from importlib import resources
from pathlib import Path

import onnx_ir as ir

from targets.errors import TargetError
from targets.snapdragon.htp.context_binary import BINARY_NAME, MODEL_NAME, ContextBinary, files_sha256
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.process import run_job
from targets.tools.tool import find_tool

WORKER = Path(str(resources.files("targets.snapdragon.htp") / "worker.py"))
"""The script that runs in the tool's environment."""

_SOURCE = "model.onnx"


def prepare(
    model: Path,
    soc: HtpSoc,
    destination: Path,
    *,
    environment: ToolEnvironment | None = None,
    seconds: float = 600.0,
) -> ContextBinary:
    """Compiles a whole graph; a node that HTP does not take is an error, never a fallback to the CPU.

    The same model and chip give the same bytes.

    Args:
        model: ONNX file with static shapes; its external data lies in the same folder.
        soc: The chip.
        destination: Folder that appears when it is whole; must not exist.
        environment: The installed tool; the user's by default.
        seconds: Time limit.

    Raises:
        ToolError: The tool is not installed, or a file cannot be written.
        JobError: The compiler refused the model, crashed or took too long.
        TargetError: `model` is absent, `destination` exists, or the model's external data is not beside it.
    """
    if destination.exists():
        raise TargetError("the destination exists", where=str(destination), remedy="name another folder")
    if not model.is_file():
        raise TargetError("there is no such model", where=str(model), remedy="name an ONNX file")
    result = run_job(
        environment or ToolEnvironment(find_tool("snapdragon")),
        WORKER,
        {"action": "prepare", "model": _SOURCE, "soc_model": soc.soc_model},
        prepare=lambda folder: _place(model, folder),
        collect=lambda folder: _take(folder, destination),
        seconds=seconds,
    )
    return ContextBinary(destination, soc.soc_model, result["compatibility"], files_sha256(destination))


def _place(model: Path, folder: Path) -> None:
    shutil.copyfile(model, folder / _SOURCE)
    for name in _external_files(model):
        if Path(name).name != name:
            raise TargetError(
                "the model's external data must lie beside it",
                where=str(model),
                received=name,
                remedy="save the model and its data into one folder",
            )
        place_file(model.parent / name, folder / name)


def _external_files(model: Path) -> list[str]:
    values = ir.load(model).graph.initializers.values()
    tensors = (value.const_value for value in values)
    return sorted({str(item.location) for item in tensors if isinstance(item, ir.ExternalTensor)})


def _take(folder: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}-"))
    try:
        for name in (MODEL_NAME, BINARY_NAME):
            shutil.copyfile(folder / name, partial / name)
        partial.rename(destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
