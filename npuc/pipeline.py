"""The compile: from a model source to an artifact, stage by stage.

The model is read before the libraries that rewrite and lower it are imported: a wrong file is refused at once.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from npuc.artifact.output_folder import atomic_folder
from npuc.compile_job import CompileJob
from npuc.stages.capture.prepare import prepare
from npuc.stages.capture.prepare_job import PrepareJob
from npuc.stages.place.scheme import NpuChoice, choose_format
from npuc.stages.place.several_devices import Processors, choose_processors, wants_float

if TYPE_CHECKING:
    from npuc.artifact.artifact import Artifact


def run_job(job: CompileJob) -> Artifact:
    """Compiles and returns the artifact; nothing is left behind where a stage fails.

    Raises:
        DiagnosticError: The model, recipe, device or machine does not allow it, or a binary disagrees with its
            reference.
    """
    processors = choose_processors(job.recipe, job.device)
    choice = choose_format(job.recipe, processors.preferred, job.device)
    if choice.format is not None:
        choice = dataclasses.replace(choice, notes=(*choice.notes, *processors.notes))
    for note in choice.notes:
        job.reporter.note(note)
    with atomic_folder(job.out) as folder:
        _compile_into(job, processors, choice, folder)
    from npuc.artifact.artifact import Artifact

    return Artifact(job.out)


def _compile_into(job: CompileJob, processors: Processors, choice: NpuChoice, folder: Path) -> None:
    source = PrepareJob(
        job.model,
        job.recipe,
        job.dump_folder,
        job.reporter,
        job.cache,
        keeps_float=wants_float(processors, choice),
    )
    prepared = prepare(source, folder)
    from npuc.build_artifact import build_artifact
    from npuc.stages.place.specialize import SpecializeJob

    accelerators = processors.accelerators
    specialization = SpecializeJob(source, prepared, job.device, accelerators, choice, processors.chips)
    build_artifact(job, specialization, folder)
