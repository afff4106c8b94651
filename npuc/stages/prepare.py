"""Stages 1 to 5 together: everything that depends on the model and the recipe but not on the device.

The result is a folder (weights, reference graphs, samples, assets, remarks) and a summary. Both are kept in the
cache, so that a second device, or a run after an interruption, starts from here.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx_ir as ir

import exporter
import npuc
import passes
from exporter.onnx_executor import OnnxExecutor
from exporter.program import Feeds, Program
from exporter.sources import DEMO, open_source
from exporter.sources.fingerprint import source_fingerprint, source_identity
from npuc.artifact import ASSETS_FOLDER, MODEL_FOLDER
from npuc.cache import Cache, content_key, package_digest
from npuc.compare.records import SourceRecord
from npuc.compare.sample_files import save_labelled
from npuc.compare.samples import label_samples
from npuc.dump_ir import IrDump
from npuc.progress import ProgressReporter
from npuc.recipe import Gates, Recipe
from npuc.stages.augmentation import make_augmenter
from npuc.stages.capture import calibration_digest, capture_options
from npuc.stages.compare_precision import TRAINED, PrecisionStage, compare_precision
from npuc.stages.compare_rewrites import Compared, compare_rewrites
from npuc.stages.distill import (
    StudentSource,
    copy_student_curve,
    distill_model,
    student_remark,
)
from npuc.stages.float_program import copy_graphs, keep_float_program
from npuc.stages.normalize import Normalized, normalize_program
from npuc.stages.observe import draw_requests, record_feeds
from npuc.stages.prepared import Prepared, load_prepared, summarize
from npuc.stages.prune import Pruned, PruneJob, prune_program
from npuc.stages.qat import QatStage
from npuc.stages.quantize import quantize_program
from npuc.stages.remarks import write_remarks
from npuc.stages.subnetworks import Nested, measure_accuracy, record_subnetwork_feeds, write_subnetworks
from npuc.stages.training_data import training_data_digests
from npuc.stages.verification_samples import affordable_edges, verification_samples
from npuc.training_curves import SUBNETWORKS, write_curve
from npuc.version import optional_versions, tool_versions
from npuc.weights_file import large_initializers, write_weights
from passes.elastic import Subnetwork, lay_out

VERIFICATION_REQUESTS = 2
"""Requests whose component inputs are kept in the artifact: enough to repeat the comparison anywhere."""


_BINARY_GATES = {name for name in Gates.model_fields if "source" not in name and "rewrite" not in name}
"""Gates of binaries, which decide nothing here."""


@dataclasses.dataclass(frozen=True)
class PrepareJob:
    """What to prepare.

    Attributes:
        model: As the user named it.
        recipe: Every setting.
        dump_folder: Where `--dump-ir` writes, or None.
        reporter: Is told about progress.
        cache: Finished work of earlier compiles.
    """

    model: str
    recipe: Recipe
    dump_folder: Path | None
    reporter: ProgressReporter
    cache: Cache


@dataclasses.dataclass(frozen=True)
class Observed:
    """A normalised program in the precision it was captured in, and what its components were fed.

    Attributes:
        program: Elementary operators, static shapes.
        feeds: Component name → inputs of the calibration requests.
        normalized: What was rewritten.
        student: What the program was captured from, where a student was distilled.
        pruned: Its sub-networks, where the recipe asks for any.
    """

    program: Program
    feeds: dict[str, list[Feeds]]
    normalized: Normalized
    student: StudentSource | None = None
    pruned: Pruned | None = None


def prepare(job: PrepareJob, folder: Path) -> Prepared:
    """Fills `folder` and returns what was prepared.

    Where something was trained, the float program lies there too, until `drop_float_program`.

    Args:
        job: What to prepare.
        folder: Of the artifact.

    Raises:
        DiagnosticError: The model cannot be read, captured, rewritten or executed.
    """
    key = prepare_key(job)
    if key is None:
        return load_prepared(_build(job, folder), folder)
    summary = job.cache.fetch(
        key,
        folder,
        lambda building: _build(job, building),
        lambda: job.reporter.note("capture to weights: taken from the cache"),
    )
    return load_prepared(summary, folder)


def prepare_key(job: PrepareJob) -> str | None:
    """Returns what identifies the result of `prepare`; None where it is not to be cached.

    Raises:
        DiagnosticError: The training data is not usable.
    """
    decisive = _decisive(job)  # first, so that unusable data is refused before any work
    fingerprint = source_fingerprint(job.model) if job.dump_folder is None else None
    return None if fingerprint is None else content_key("prepare", fingerprint, *decisive)


def _training_folder(job: PrepareJob) -> Path | None:
    """Returns where unfinished training is kept; None where nothing is trained, or the model cannot be recognised."""
    identity = source_identity(job.model) if _trains(job.recipe) else None
    if identity is None:
        return None
    return job.cache.work_folder(content_key("train", identity, *_decisive(job)))


def _trains(recipe: Recipe) -> bool:
    return recipe.qat is not None or recipe.prune is not None


def _decisive(job: PrepareJob) -> tuple[dict[str, Any], list[Any], str, dict[str, Any], str]:
    """Returns what decides the result besides the model."""
    recipe = job.recipe.model_dump(
        mode="json", exclude={"name": True, "gates": _BINARY_GATES, "npu": True, "precision": {"npu"}}
    )
    code = package_digest(exporter, passes, npuc)
    versions = tool_versions() | optional_versions()
    return recipe, training_data_digests(job.recipe), calibration_digest(job.recipe), versions, code


def _build(job: PrepareJob, folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix=".float-", dir=folder) as name:
        return _build_from(job, Path(name), folder)


def _build_from(job: PrepareJob, float_folder: Path, folder: Path) -> dict[str, Any]:
    dump = IrDump(job.dump_folder)
    checkpoints = _training_folder(job)
    observed = observe_program(job, dump, float_folder)
    with job.reporter.phase("compare", len(observed.program.components)) as advance:
        compared = compare_rewrites(
            observed.program, observed.normalized.rewritings, observed.feeds, job.recipe.gates, advance
        )
    observed = _with_subnetworks(job, observed, float_folder, checkpoints)
    program, remarks = observed.program, observed.normalized.remarks
    subnetworks = observed.pruned.subnetworks if observed.pruned is not None else ()
    master = copy_graphs(program)  # quantising changes the graphs in place
    qat = _qat_stage(job, program)
    with job.reporter.phase("quantize", 2 * len(program.components)) as advance:
        quantized = quantize_program(program, job.recipe, observed.feeds, advance, dump)
    for name, entries in quantized.remarks.items():
        remarks.setdefault(name, []).extend(entries)
    if qat is not None:
        remark, subnetworks = qat.train(program, folder, checkpoints, subnetworks, master)
        remarks["qat"] = [remark]
    if observed.student is not None:
        remarks["student"] = [student_remark(observed.student.record)]
        copy_student_curve(observed.student, folder)
    if observed.pruned is not None:
        remarks["subnetworks"] = list(observed.pruned.remarks)
        lay_out(program, subnetworks)
        if observed.pruned.curve is not None:
            write_curve(observed.pruned.curve, SUBNETWORKS, folder)
    write_remarks(remarks, folder)
    nested = _write_model(job, program, subnetworks, folder)
    if _trains(job.recipe):
        requests = draw_requests(program.requests, job.recipe.calibration.samples)
        keep_float_program(master, subnetworks, requests, folder)
    layers = dict(quantized.layers)
    for network in nested:
        layers |= {narrowed: layers[name] for name, narrowed in network.components.items()}
    sources = _compare_precision(job, PrecisionStage(program, master, job.recipe, layers, folder), compared)
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return summarize(program, quantized, nested, sources)


def observe_program(job: PrepareJob, dump: IrDump, folder: Path) -> Observed:
    """Captures and normalises a model and runs its calibration requests.

    Args:
        job: What to prepare.
        dump: Is shown the graph after each pass.
        folder: Existing; keeps the float weights, which the program is bound to, for as long as it is used.

    Raises:
        DiagnosticError: The model cannot be read, captured, rewritten or executed.
    """
    student = distill_model(job.model, job.recipe, job.cache, job.reporter)
    with job.reporter.phase("capture", 1) as advance:
        program = _open(job, student)
        advance(1, sum(tensor.nbytes for tensor in large_initializers(program.components).values()))
    with job.reporter.phase("normalize", len(program.components)) as advance:
        normalized = normalize_program(program, advance, dump)
    _store(job, program, folder / "captured")
    return Observed(program, _observe(job, program), normalized, student)


def _with_subnetworks(
    job: PrepareJob, observed: Observed, folder: Path, checkpoints: Path | None
) -> Observed:
    """Trains sub-networks, where the recipe asks for any."""
    program, settings = observed.program, job.recipe.prune
    if settings is None:
        return observed
    prune_job = PruneJob(job.model, settings, job.reporter, checkpoints, make_augmenter(job.recipe.augment))
    pruned = prune_program(prune_job, program, observed.feeds)
    _store(job, program, folder / "trained")
    shutil.rmtree(folder / "captured")
    return dataclasses.replace(observed, feeds=_observe(job, program), pruned=pruned)


def _compare_precision(job: PrepareJob, stage: PrecisionStage, compared: Compared) -> dict[str, SourceRecord]:
    """Compares the final graphs; what training changed is compared with the trained float program."""
    prune = job.recipe.prune
    if prune is not None and prune.steps and not prune.keep_full:
        stage = dataclasses.replace(stage, instead=TRAINED)
    with job.reporter.phase("precision", len(stage.program.components)) as advance:
        return compare_precision(stage, compared, advance)


def _store(job: PrepareJob, program: Program, folder: Path) -> None:
    """Writes float weights once and binds the program to them.

    Executors then read them where they lie, however many there are, instead of computing a copy each.
    """
    folder.mkdir()
    with job.reporter.phase("store", len(large_initializers(program.components))) as advance:
        write_weights(program.components, folder, lambda nbytes: advance(1, nbytes))


def _qat_stage(job: PrepareJob, program: Program) -> QatStage | None:
    settings = job.recipe.qat
    if settings is None:
        return None
    return QatStage(program, settings, job.reporter, make_augmenter(job.recipe.augment))


def _open(job: PrepareJob, student: StudentSource | None) -> Program:
    if student is None:
        return open_source(job.model, capture_options(job.recipe))
    program = open_source(student.folder, capture_options(job.recipe))
    name = DEMO if job.model == DEMO else Path(job.model).name
    return dataclasses.replace(
        program, provenance={**program.provenance, "source": name, "distilled": student.record}
    )


def _observe(job: PrepareJob, program: Program) -> dict[str, list[Feeds]]:
    requests = draw_requests(program.requests, job.recipe.calibration.samples)
    with job.reporter.phase("calibrate", 1) as advance:
        executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
        feeds = record_feeds(program, executors, requests)
        advance(1, _nbytes(feeds))
    return feeds


def _nbytes(feeds: dict[str, list[Feeds]]) -> int:
    return sum(array.nbytes for samples in feeds.values() for feed in samples for array in feed.values())


def _write_model(
    job: PrepareJob, program: Program, subnetworks: Sequence[Subnetwork], folder: Path
) -> tuple[Nested, ...]:
    """Writes the weights, the reference graphs beside them, their samples, and the assets."""
    model_folder, assets_folder = folder / MODEL_FOLDER, folder / ASSETS_FOLDER
    model_folder.mkdir()
    assets_folder.mkdir()
    with job.reporter.phase("weights", len(large_initializers(program.components))) as advance:
        write_weights(program.components, model_folder, lambda nbytes: advance(1, nbytes))
    for name, component in program.components.items():
        ir.save(component.model, model_folder / f"{name}.onnx")
    full = dataclasses.replace(program, components=dict(program.components))
    nested = write_subnetworks(program, subnetworks, model_folder)
    with job.reporter.phase("reference", 1) as advance:
        edges = affordable_edges(full)
        requests = draw_requests(program.requests, VERIFICATION_REQUESTS)
        requests += tuple(edge.request for edge in edges)
        feeds = record_subnetwork_feeds(program, nested, requests, model_folder)
        samples = verification_samples(program, feeds)
        save_labelled(label_samples(samples, feeds, [edge.name for edge in edges]), model_folder)
        nested = measure_accuracy(program, nested, job.model, model_folder)
        advance(1, _nbytes(samples))
    for name, content in sorted(program.assets.items()):
        (assets_folder / name).write_bytes(content)
    return nested
