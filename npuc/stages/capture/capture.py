"""The model source becomes a program."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.sources import open_source
from npuc.artifact.weights_file import large_initializers
from npuc.stages.capture.options import capture_options
from program.program import Program

if TYPE_CHECKING:
    from npuc.stages.capture.prepare_job import PrepareJob
    from npuc.stages.learn.distill import StudentSource


@dataclasses.dataclass(frozen=True)
class Captured:
    """A program as it came from its source.

    Attributes:
        program: Weights are where the user has them.
        student: What it was captured from, where a student was distilled.
    """

    program: Program
    student: StudentSource | None = None


def capture_model(job: PrepareJob) -> Captured:
    """Reads the model, or distils its student and reads that.

    Raises:
        DiagnosticError: The model cannot be read, distilled or captured.
    """
    student = _distill(job)
    with job.reporter.phase("capture", 1) as advance:
        program = _open(job, student)
        advance(1, sum(tensor.nbytes for tensor in large_initializers(program.components).values()))
    return Captured(program, student)


def _distill(job: PrepareJob) -> StudentSource | None:
    if job.recipe.distill is None:
        return None
    from npuc.stages.learn.distill import distill_model  # imports torch

    return distill_model(job.model, job.recipe, job.cache, job.reporter)


def _open(job: PrepareJob, student: StudentSource | None) -> Program:
    if student is None:
        return open_source(job.model, capture_options(job.recipe))
    program = open_source(student.folder, capture_options(job.recipe))
    name = Path(job.model).name
    return dataclasses.replace(
        program, provenance={**program.provenance, "source": name, "distilled": student.record}
    )
