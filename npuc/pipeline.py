"""The compile: from a model source to an artifact, stage by stage."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from npuc.artifact import Artifact
from npuc.cache import Cache
from npuc.compare.original_answers import drop_answers
from npuc.compare.records import SourceRecord
from npuc.output_folder import atomic_folder
from npuc.progress import ProgressReporter
from npuc.recipe import Recipe
from npuc.segments import Plan
from npuc.stages.check import CheckJob, check_binaries
from npuc.stages.describe import Built, write_description
from npuc.stages.device_files import write_device_files
from npuc.stages.float_program import drop_float_program
from npuc.stages.judge_precision import planned_sources, require_precision
from npuc.stages.lower import LoweredPlan, LowerJob, lower_plan
from npuc.stages.npu_program import NpuProgram
from npuc.stages.prepare import PrepareJob, prepare
from npuc.stages.scheme import Choice, choose_scheme
from npuc.stages.several_devices import Processors, choose_processors, require_cpu_code_runs
from npuc.stages.specialize import SpecializeJob, discard_plan, plan_processors, specialize
from targets.device import Device
from targets.errors import RefusedNodesError


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
        cache: Finished work of earlier compiles.
        accept_precision_loss: Whether to write an artifact whose number formats lose more than the gates allow.
    """

    model: str
    device: Device
    tier: str
    recipe: Recipe
    out: Path
    dump_folder: Path | None
    reporter: ProgressReporter
    cache: Cache
    accept_precision_loss: bool = False


def run_job(job: CompileJob) -> Artifact:
    """Compiles and returns the artifact; nothing is left behind where a stage fails.

    Raises:
        DiagnosticError: The model, recipe, device or machine does not allow it, or a binary disagrees with its
            reference.
    """
    processors = choose_processors(job.recipe, job.device)
    choice = choose_scheme(job.recipe, processors.preferred, job.device)
    if choice.scheme is not None:
        choice = dataclasses.replace(choice, notes=(*choice.notes, *processors.notes))
    for note in choice.notes:
        job.reporter.note(note)
    with atomic_folder(job.out) as folder:
        _compile_into(job, processors, choice, folder)
    return Artifact(job.out)


def _compile_into(job: CompileJob, processors: Processors, choice: Choice, folder: Path) -> None:
    accelerators = processors.accelerators
    source = PrepareJob(job.model, job.recipe, job.dump_folder, job.reporter, job.cache)
    prepared = prepare(source, folder)
    specialization = SpecializeJob(source, prepared, job.device, accelerators, choice, processors.chips)
    program = specialize(specialization, folder)
    drop_float_program(folder)
    drop_answers(folder)
    plan, sources, lowered = _lower(job, specialization, program, folder)
    with job.reporter.phase("execute", len(plan.segments)) as advance:
        checked = check_binaries(CheckJob(plan, lowered, job.device, folder), advance)
    networks = {network.name: network.components for network in prepared.subnetworks}
    write_device_files(plan, job.device, lowered.segments, networks, folder)
    built = Built(prepared, plan, sources, job.device, job.tier, job.recipe, lowered.segments, checked)
    write_description(built, folder)


def _lower(
    job: CompileJob, specialization: SpecializeJob, program: NpuProgram | None, folder: Path
) -> tuple[Plan, dict[str, SourceRecord], LoweredPlan]:
    """Lowers a program; what the NPU's compiler refuses goes to the next processor that takes it."""
    refused: set[str] = set()
    while True:
        plan = plan_processors(specialization, program, folder, refused)
        require_cpu_code_runs(plan, job.recipe, job.device)
        sources = planned_sources(plan, specialization.prepared, job.accept_precision_loss)
        require_precision(sources, job.reporter)
        try:
            with job.reporter.phase("lower", len(plan.segments)) as advance:
                lower_job = LowerJob(plan, job.device, specialization.accelerators, job.cache, folder)
                return plan, sources, lower_plan(lower_job, advance)
        except RefusedNodesError as error:
            if refused.issuperset(error.nodes):
                raise
            refused.update(error.nodes)
            job.reporter.note(f"the NPU's compiler refuses {error.received}: the nodes are placed anew")
            shutil.rmtree(error.reproducer, ignore_errors=True)
            discard_plan(plan, folder)
