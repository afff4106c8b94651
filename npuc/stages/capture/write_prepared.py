"""The part of an artifact that no device decides: a program rewritten, trained, quantised, compared and written."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from npuc.artifact.paths import ASSETS_FOLDER, MODEL_FOLDER
from npuc.artifact.training_curves import SUBNETWORKS, write_curve
from npuc.artifact.weights_file import large_initializers, write_weights
from npuc.compare.records import SourceRecord
from npuc.compare.source.sample_files import save_labelled
from npuc.compare.source.samples import label_samples
from npuc.dump_ir import IrDump
from npuc.stages.capture.capture import Captured
from npuc.stages.capture.compare_precision import TRAINED, PrecisionStage, compare_precision
from npuc.stages.capture.compare_rewrites import Compared, compare_rewrites
from npuc.stages.capture.float_program import (
    copy_graphs,
    drop_float_program,
    keep_captured,
    keep_float_program,
)
from npuc.stages.capture.observe import draw_requests
from npuc.stages.capture.observe_program import (
    CAPTURED,
    Observed,
    calibration_feeds,
    feeds_nbytes,
    observe_program,
    store_weights,
)
from npuc.stages.capture.prepare_job import PrepareJob, training_folder, trains
from npuc.stages.capture.prepared import summarize
from npuc.stages.capture.quantize import quantize_program
from npuc.stages.capture.remarks import write_remarks
from npuc.stages.capture.verification_samples import affordable_edges, verification_samples
from npuc.stages.learn.nested import Nested
from npuc.stages.learn.subnetworks import measure_accuracy, record_subnetwork_feeds, write_subnetworks
from passes.learning.subnetworks.nested import Subnetwork, lay_out
from program.program import Feeds, Program

if TYPE_CHECKING:  # training imports torch, for which a recipe without any need not wait
    from npuc.stages.learn.qat import QatStage

RecordedFeeds = Mapping[str, list[Feeds]]

VERIFICATION_REQUESTS = 2
"""Requests whose component inputs are kept in the artifact: enough to repeat the comparison anywhere."""


def write_prepared(job: PrepareJob, captured: Captured, folder: Path) -> tuple[dict[str, Any], RecordedFeeds]:
    """Rewrites, trains, quantises and compares a captured program and fills a folder with the result.

    Args:
        job: What to prepare.
        captured: From its source.
        folder: Of the artifact, or an entry of the cache.

    Returns:
        What `load_prepared` needs beside the files, and what the float program was fed: nothing where it is not kept,
        or was trained.

    Raises:
        DiagnosticError: The model cannot be rewritten, trained or executed, or disagrees with its source.
    """
    with tempfile.TemporaryDirectory(prefix=".float-", dir=folder) as name:
        return _write(job, captured, Path(name), folder)


def _write(
    job: PrepareJob, captured: Captured, float_folder: Path, folder: Path
) -> tuple[dict[str, Any], RecordedFeeds]:
    dump = IrDump(job.dump_folder)
    checkpoints = training_folder(job)
    observed = observe_program(job, captured, dump, float_folder)
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
        from npuc.stages.learn.distill import copy_student_curve, student_remark

        remarks["student"] = [student_remark(observed.student.record)]
        copy_student_curve(observed.student, folder)
    if observed.pruned is not None:
        remarks["subnetworks"] = list(observed.pruned.remarks)
        lay_out(program, subnetworks)
        if observed.pruned.curve is not None:
            write_curve(observed.pruned.curve, SUBNETWORKS, folder)
    write_remarks(remarks, folder)
    nested = _write_model(job, program, subnetworks, folder)
    requests = draw_requests(program.requests, job.recipe.calibration.samples)
    if trains(job.recipe):
        keep_float_program(master, subnetworks, requests, folder)
    layers = dict(quantized.layers)
    for network in nested:
        layers |= {narrowed: layers[name] for name, narrowed in network.components.items()}
    sources = _compare_precision(job, PrecisionStage(program, master, job.recipe, layers, folder), compared)
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    feeds: RecordedFeeds = {}
    if not job.keeps_float:
        drop_float_program(folder)
    elif not trains(job.recipe):
        keep_captured(master, requests, float_folder / CAPTURED, folder)
        feeds = observed.feeds
    return summarize(program, quantized, nested, sources), feeds


def _with_subnetworks(
    job: PrepareJob, observed: Observed, folder: Path, checkpoints: Path | None
) -> Observed:
    """Trains sub-networks, where the recipe asks for any."""
    program, settings = observed.program, job.recipe.prune
    if settings is None:
        return observed
    from npuc.stages.learn.augmentation import make_augmenter
    from npuc.stages.learn.prune import PruneJob, prune_program

    prune_job = PruneJob(job.model, settings, job.reporter, checkpoints, make_augmenter(job.recipe.augment))
    pruned = prune_program(prune_job, program, observed.feeds)
    store_weights(job, program, folder / "trained")
    shutil.rmtree(folder / CAPTURED)
    return dataclasses.replace(observed, feeds=calibration_feeds(job, program), pruned=pruned)


def _compare_precision(job: PrepareJob, stage: PrecisionStage, compared: Compared) -> dict[str, SourceRecord]:
    """Compares the final graphs; what training changed is compared with the trained float program."""
    prune = job.recipe.prune
    if prune is not None and prune.steps and not prune.keep_full:
        stage = dataclasses.replace(stage, instead=TRAINED)
    with job.reporter.phase("precision", len(stage.program.components)) as advance:
        return compare_precision(stage, compared, advance)


def _qat_stage(job: PrepareJob, program: Program) -> QatStage | None:
    settings = job.recipe.qat
    if settings is None:
        return None
    from npuc.stages.learn.augmentation import make_augmenter
    from npuc.stages.learn.qat import QatStage

    return QatStage(program, settings, job.reporter, make_augmenter(job.recipe.augment))


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
        advance(1, feeds_nbytes(samples))
    for name, content in sorted(program.assets.items()):
        (assets_folder / name).write_bytes(content)
    return nested
