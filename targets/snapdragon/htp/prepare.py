"""Compiles ONNX files for HTP, in a fresh process."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from exporter.program import Array, Feeds
from targets.errors import TargetError
from targets.snapdragon.htp.context_binary import MODEL_NAME, ContextBinary, files_sha256
from targets.snapdragon.socs import HtpSoc
from targets.tools.environment import ToolEnvironment
from targets.tools.files import place_file
from targets.tools.process import run_job
from targets.tools.tool import find_tool

WORKER = Path(str(resources.files("targets.snapdragon.htp") / "worker.py"))
"""The script that runs in the tool's environment."""

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

    The same model and chips give the same bytes.

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
        _request(job),
        prepare=lambda folder: _place(job, folder),
        collect=lambda folder: _take(job, folder, {} if outputs is None else outputs),
        seconds=job.seconds,
    )
    binary, further = result["binary"], tuple(item.soc_model for item in job.socs[1:])
    return {
        file: ContextBinary(
            folder=job.destination,
            soc_model=job.socs[0].soc_model,
            compatibility=compatibility,
            sha256=files_sha256(job.destination, file, binary),
            model=file,
            binary=binary,
            further_socs=further,
            shared_by=len(job.models),
        )
        for file, compatibility in zip(job.models, result["compatibility"], strict=True)
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


def _request(job: PrepareJob) -> dict[str, Any]:
    graphs = []
    for index, file in enumerate(job.models):
        graph = {"model": f"{_source(index)}/{_MODEL}", "prepared": file}
        if file in job.samples:
            graph |= {"inputs": f"{_source(index)}/inputs.npz", "outputs": f"{_source(index)}/outputs.npz"}
        graphs.append(graph)
    socs = [{"soc_model": item.soc_model, "arch": item.arch} for item in job.socs]
    return {"action": "prepare", "graphs": graphs, "socs": socs}


def _source(index: int) -> str:
    """Folder of one graph in the job: two graphs may have external data of the same name."""
    return f"graph_{index}"


def _place(job: PrepareJob, folder: Path) -> None:
    for index, (file, model) in enumerate(job.models.items()):
        source = folder / _source(index)
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
        if file in job.samples:
            np.savez(source / "inputs.npz", **dict(job.samples[file]))  # type: ignore[arg-type]


def _external_files(model: Path) -> list[str]:
    values = ir.load(model).graph.initializers.values()
    tensors = (value.const_value for value in values)
    return sorted({str(item.location) for item in tensors if isinstance(item, ir.ExternalTensor)})


def _take(job: PrepareJob, folder: Path, outputs: dict[str, dict[str, Array]]) -> None:
    for index, file in enumerate(job.models):
        if file in job.samples:
            with np.load(folder / _source(index) / "outputs.npz", allow_pickle=False) as values:
                outputs[file] = {name: values[name] for name in values.files}
    job.destination.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=job.destination.parent, prefix=f".{job.destination.name}-"))
    try:
        for path in (*(folder / file for file in job.models), *folder.glob("*_qnn.bin")):
            place_file(path, partial / path.name)
        partial.rename(job.destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
