"""Compiles ONNX files for HTP, in a fresh process."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from program.program import Array, Feeds
from targets.errors import TargetError
from targets.snapdragon.htp.context_binary import MODEL_NAME, ContextBinary, files_sha256
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.process import run_job
from targets.tools.tool import find_tool

WORKER = Path(str(resources.files("targets.snapdragon.htp") / "worker.py"))
"""The script that runs in the tool's environment."""

INPUTS_NAME = "inputs.npz"
_OUTPUTS_NAME = "outputs.npz"
_MODEL = "model.onnx"


def prepare(
    model: Path,
    soc: HtpSoc | Sequence[HtpSoc],
    destination: Path,
    *,
    environment: ToolEnvironment | None = None,
    seconds: float = 600.0,
) -> ContextBinary:
    """Compiles a whole graph; a node that HTP does not take is an error, never a fallback to the CPU.

    The same model and chips give the same EPContext file and a binary of the same size. A few of its bytes may differ:
    the compiler pads weights with memory that it never wrote.

    Args:
        model: ONNX file with static shapes; its external data lies in the same folder.
        soc: The chip. Several give one binary with code for each of them, which the emulation does not load.
        destination: Folder that appears when it is whole; must not exist.
        environment: The installed tool; the user's by default.
        seconds: Time limit.

    Raises:
        ToolError: The tool is not installed, or a file cannot be written.
        JobError: The compiler refused the model, crashed or took too long.
        TargetError: `model` is absent, `destination` exists, the model's external data is not beside it, or no chip
            is named.
    """
    job = PrepareJob({MODEL_NAME: model}, chips(soc), destination, seconds)
    return run_prepare(job, environment)[MODEL_NAME]


@dataclasses.dataclass(frozen=True)
class PrepareJob:
    """Graphs that become one binary.

    Attributes:
        models: ONNX files by the names of the prepared files.
        socs: The chips.
        destination: New folder.
        seconds: Time limit.
        samples: Feeds of graphs that are also executed, by the names of the prepared files.
    """

    models: Mapping[str, Path]
    socs: tuple[HtpSoc, ...]
    destination: Path
    seconds: float
    samples: Mapping[str, Feeds] = dataclasses.field(default_factory=dict)


def run_prepare(
    job: PrepareJob,
    environment: ToolEnvironment | None = None,
    outputs: dict[str, dict[str, Array]] | None = None,
) -> dict[str, ContextBinary]:
    """Runs the compiler.

    Args:
        job: What to compile.
        environment: The installed tool; the user's by default.
        outputs: Gets what each graph with a sample returned.

    Returns:
        By the names of the prepared files.

    Raises:
        ToolError, JobError, TargetError: As `prepare`.
    """
    if job.destination.exists():
        raise TargetError("the destination exists", where=str(job.destination), remedy="name another folder")
    for model in job.models.values():
        if not model.is_file():
            raise TargetError("there is no such model", where=str(model), remedy="name an ONNX file")
    result = run_job(
        environment or ToolEnvironment(find_tool("snapdragon")),
        WORKER,
        compile_request(job.models, job.socs, job.samples),
        prepare=lambda folder: _place(job, folder),
        collect=lambda folder: _take(job, folder, {} if outputs is None else outputs),
        seconds=job.seconds,
    )
    return context_binaries(job.models, job.socs, job.destination, result)


def context_binaries(
    files: Collection[str], socs: Sequence[HtpSoc], folder: Path, recorded: Mapping[str, Any]
) -> dict[str, ContextBinary]:
    """Returns the prepared graphs by the names of their files.

    Args:
        files: Names of the prepared files, in the order of compilation.
        socs: The chips.
        folder: Holds the files and the binary.
        recorded: What the worker returned.
    """
    binary, further = recorded["binary"], tuple(item.soc_model for item in socs[1:])
    return {
        file: ContextBinary(
            folder=folder,
            soc_model=socs[0].soc_model,
            compatibility=compatibility,
            sha256=files_sha256(folder, file, binary),
            model=file,
            binary=binary,
            further_socs=further,
            shared_by=len(files),
        )
        for file, compatibility in zip(files, recorded["compatibility"], strict=True)
    }


def chips(soc: HtpSoc | Sequence[HtpSoc]) -> tuple[HtpSoc, ...]:
    """Returns one chip or several as a tuple.

    Raises:
        TargetError: There is none, or one comes twice.
    """
    socs = (soc,) if isinstance(soc, HtpSoc) else tuple(soc)
    if not socs or len({item.soc_model for item in socs}) != len(socs):
        raise TargetError(
            "a binary is for one or several different chips",
            received=", ".join(item.model for item in socs) or "none",
            remedy="name each chip once",
        )
    return socs


def compile_request(
    models: Mapping[str, Path], socs: Sequence[HtpSoc], samples: Collection[str] = (), action: str = "prepare"
) -> dict[str, Any]:
    """Returns what the worker is told.

    Args:
        models: ONNX files by the names of the prepared files, as `place_models` places them.
        socs: The chips.
        samples: Names of the prepared files whose graphs are executed as well.
        action: See the worker.
    """
    graphs = []
    for index, file in enumerate(models):
        source = source_folder(index)
        graph = {"model": f"{source}/{_MODEL}", "prepared": file}
        if file in samples:
            graph |= {"inputs": f"{source}/{INPUTS_NAME}", "outputs": f"{source}/{_OUTPUTS_NAME}"}
        graphs.append(graph)
    chips = [{"soc_model": item.soc_model, "arch": item.arch} for item in socs]
    return {"action": action, "graphs": graphs, "socs": chips}


def source_folder(index: int) -> str:
    """Folder of one graph in the job: two graphs may have external data of the same name."""
    return f"graph_{index}"


def place_models(models: Iterable[Path], folder: Path) -> None:
    """Puts graphs and their external data into a job's folder.

    Raises:
        TargetError: A model's external data is not beside it.
        OSError: A file cannot be read, or the disk is full.
    """
    for index, model in enumerate(models):
        source = folder / source_folder(index)
        source.mkdir()
        shutil.copyfile(model, source / _MODEL)
        for name in _external_files(model):
            if Path(name).name != name:
                raise TargetError(
                    "the model's external data must lie beside it",
                    where=str(model),
                    received=name,
                    remedy="save the model and its data into one folder",
                )
            place_file(model.parent / name, source / name)


def _place(job: PrepareJob, folder: Path) -> None:
    place_models(job.models.values(), folder)
    for index, file in enumerate(job.models):
        if file in job.samples:
            inputs = folder / source_folder(index) / INPUTS_NAME
            np.savez(inputs, **dict(job.samples[file]))  # type: ignore[arg-type]


def _external_files(model: Path) -> list[str]:
    values = ir.load(model).graph.initializers.values()
    tensors = (value.const_value for value in values)
    return sorted({str(item.location) for item in tensors if isinstance(item, ir.ExternalTensor)})


def _take(job: PrepareJob, folder: Path, outputs: dict[str, dict[str, Array]]) -> None:
    for index, file in enumerate(job.models):
        if file in job.samples:
            with np.load(folder / source_folder(index) / _OUTPUTS_NAME, allow_pickle=False) as values:
                outputs[file] = {name: values[name] for name in values.files}
    take_prepared(job.models, folder, job.destination)


def take_prepared(files: Iterable[str], folder: Path, destination: Path) -> None:
    """Puts prepared files and their binary into a new folder that appears when it is whole.

    Args:
        files: Names of the prepared files.
        folder: Of the job.
        destination: New folder.

    Raises:
        OSError: The disk is full.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}-"))
    try:
        for path in (*(folder / file for file in files), *folder.glob("*_qnn.bin")):
            place_file(path, partial / path.name)
        partial.rename(destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
