"""The compile: from a model source to an artifact, stage by stage."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx_ir as ir

from exporter.onnx_executor import OnnxExecutor
from exporter.program import Feeds, Program
from exporter.sources import open_source
from npuc.artifact import ASSETS_FOLDER, MODEL_FOLDER, Artifact
from npuc.cache import Cache
from npuc.dump_ir import IrDump
from npuc.output_folder import atomic_folder
from npuc.progress import ProgressReporter
from npuc.recipe import Recipe
from npuc.samples import save_samples
from npuc.stages.availability import check_stages
from npuc.stages.capture import capture_options
from npuc.stages.check import check_binaries
from npuc.stages.describe import Built, write_description
from npuc.stages.lower import LowerJob, lower_program
from npuc.stages.normalize import normalize_program
from npuc.stages.observe import record_feeds, spread
from npuc.stages.quantize import Quantized, quantize_program
from npuc.stages.remarks import write_remarks
from npuc.weights_file import large_initializers, write_weights
from targets.device import Device

VERIFICATION_REQUESTS = 2
"""Requests whose component inputs are kept in the artifact: enough to repeat the comparison anywhere."""


@dataclasses.dataclass(frozen=True)
class CompileJob:
    """What to compile, for what, and where to.

    Attributes:
        model: As the user named it.
        device: Device to compile for.
        tier: Tier whose recipe was chosen.
        recipe: Every setting.
        out: Folder of the artifact.
        dump_folder: Where `--dump-ir` writes, or None.
        reporter: Is told about progress.
        cache: Finished steps of earlier compiles.
    """

    model: str
    device: Device
    tier: str
    recipe: Recipe
    out: Path
    dump_folder: Path | None
    reporter: ProgressReporter
    cache: Cache


def run_job(job: CompileJob) -> Artifact:
    """Compiles and returns the artifact; nothing is left behind where a stage fails.

    Raises:
        DiagnosticError: The model, recipe, device or machine does not allow it, or a binary disagrees with its
            reference.
    """
    check_stages(job.recipe)
    with atomic_folder(job.out) as folder:
        for name in (MODEL_FOLDER, ASSETS_FOLDER):
            (folder / name).mkdir()
        _compile_into(job, folder)
    return Artifact(job.out)


def _compile_into(job: CompileJob, folder: Path) -> None:
    dump = IrDump(job.dump_folder)
    with job.reporter.phase("capture", 1) as advance:
        program = open_source(job.model, capture_options(job.recipe))
        advance(1, 0)
    with job.reporter.phase("normalize", len(program.components)) as advance:
        remarks = normalize_program(program, advance, dump)
    feeds = _observe(job, program)
    with job.reporter.phase("quantize", 2 * len(program.components)) as advance:
        quantized = quantize_program(program, job.recipe, feeds, advance, dump)
    for name, entries in quantized.remarks.items():
        remarks[name] += entries
    write_remarks(remarks, folder)
    _write_model(job, program, folder)
    _finish(job, program, quantized, folder)


def _observe(job: CompileJob, program: Program) -> dict[str, list[Feeds]]:
    requests = spread(program.requests, job.recipe.calibration.samples)
    with job.reporter.phase("calibrate", 1) as advance:
        executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
        feeds = record_feeds(program, executors, requests)
        advance(
            1, sum(array.nbytes for samples in feeds.values() for feed in samples for array in feed.values())
        )
    return feeds


def _write_model(job: CompileJob, program: Program, folder: Path) -> None:
    """Writes the weights, the reference graphs beside them, their samples, and the assets."""
    model_folder = folder / MODEL_FOLDER
    with job.reporter.phase("weights", len(large_initializers(program.components))) as advance:
        write_weights(program.components, model_folder, lambda nbytes: advance(1, nbytes))
    for name, component in program.components.items():
        ir.save(component.model, model_folder / f"{name}.onnx")
    with job.reporter.phase("reference", 1) as advance:
        executors = {name: OnnxExecutor(model_folder / f"{name}.onnx") for name in program.components}
        requests = spread(program.requests, VERIFICATION_REQUESTS)
        save_samples(record_feeds(program, executors, requests), model_folder)
        advance(1, 0)
    for name, content in sorted(program.assets.items()):
        (folder / ASSETS_FOLDER / name).write_bytes(content)


def _finish(job: CompileJob, program: Program, quantized: Quantized, folder: Path) -> None:
    with job.reporter.phase("lower", len(program.components)) as advance:
        lowered = lower_program(LowerJob(program, job.device, job.cache, folder), advance)
    formats = {name: {layer.format for layer in layers} for name, layers in quantized.layers.items()}
    with job.reporter.phase("execute", len(program.components)) as advance:
        agreements = check_binaries(program, lowered, formats, job.recipe, folder, advance)
    write_description(
        Built(program, job.device, job.tier, job.recipe, quantized, lowered, agreements), folder
    )
