"""The second half of a compile: from a prepared program to the folder of an artifact."""

from __future__ import annotations

import shutil
from pathlib import Path

from npuc.compare.records import SourceRecord
from npuc.compare.source.original_answers import drop_answers
from npuc.compile_job import CompileJob
from npuc.stages.capture.float_program import drop_float_program
from npuc.stages.lower.lower import LoweredPlan, LowerJob, lower_plan
from npuc.stages.place.judge_precision import planned_sources, require_precision
from npuc.stages.place.npu_program import NpuProgram
from npuc.stages.place.plan import Plan
from npuc.stages.place.several_devices import require_cpu_code_runs
from npuc.stages.place.specialize import SpecializeJob, discard_plan, plan_processors, specialize
from npuc.stages.ship.check import CheckJob, check_binaries
from npuc.stages.ship.describe import Built, write_description
from npuc.stages.ship.device_files import DeviceJob, write_device_files
from targets.errors import RefusedNodesError


def build_artifact(job: CompileJob, specialization: SpecializeJob, folder: Path) -> None:
    """Specialises, lowers, executes and describes a prepared program.

    Args:
        job: What to compile.
        specialization: The prepared program, and the processors it may use.
        folder: Of the artifact; holds the prepared program.

    Raises:
        DiagnosticError: The device or the machine does not allow it, or a binary disagrees with its reference.
    """
    prepared = specialization.prepared
    program = specialize(specialization, folder)
    drop_float_program(folder)
    drop_answers(folder)
    plan, sources, lowered = _lower(job, specialization, program, folder)
    with job.reporter.phase("execute", len(plan.segments)) as advance:
        checked = check_binaries(CheckJob(plan, lowered, job.device, folder), advance)
    networks = {network.name: network.components for network in prepared.subnetworks}
    device_job = DeviceJob(plan, job.device, specialization.accelerators, lowered.segments, networks)
    write_device_files(device_job, folder)
    built = Built(prepared, plan, sources, job.device, job.tier, job.recipe, lowered.segments, checked)
    write_description(built, folder)


def _lower(
    job: CompileJob, specialization: SpecializeJob, program: NpuProgram | None, folder: Path
) -> tuple[Plan, dict[str, SourceRecord], LoweredPlan]:
    """Lowers a program; what the NPU's compiler refuses goes to the next processor that takes it."""
    refused: dict[str, set[str]] = {}
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
            known = refused.setdefault(error.processor, set())
            if known.issuperset(error.nodes):
                raise
            known.update(error.nodes)
            job.reporter.note(
                f"the compiler of {error.processor} refuses {error.received}: the nodes are placed anew"
            )
            shutil.rmtree(error.reproducer, ignore_errors=True)
            discard_plan(plan, folder)
