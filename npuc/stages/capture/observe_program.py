"""A captured program in elementary operators, and what its components are fed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from npuc.artifact.weights_file import large_initializers, write_weights
from npuc.dump_ir import IrDump
from npuc.stages.capture.capture import Captured
from npuc.stages.capture.normalize import Normalized, normalize_program
from npuc.stages.capture.observe import draw_requests, record_feeds
from npuc.stages.capture.prepare_job import PrepareJob
from program.onnx_executor import OnnxExecutor
from program.program import Feeds, Program

if TYPE_CHECKING:
    from npuc.stages.learn.distill import StudentSource
    from npuc.stages.learn.prune import Pruned


CAPTURED = "captured"
"""Folder of the weights as they were captured."""


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


def observe_program(job: PrepareJob, captured: Captured, dump: IrDump, folder: Path) -> Observed:
    """Normalises a model and runs its calibration requests.

    Args:
        job: What to prepare.
        captured: From its source.
        dump: Is shown the graph after each pass.
        folder: Existing; keeps the float weights, which the program is bound to, for as long as it is used.

    Raises:
        DiagnosticError: The model cannot be rewritten or executed.
    """
    program = captured.program
    with job.reporter.phase("normalize", len(program.components)) as advance:
        normalized = normalize_program(program, advance, dump)
    store_weights(job, program, folder / CAPTURED)
    return Observed(program, calibration_feeds(job, program), normalized, captured.student)


def store_weights(job: PrepareJob, program: Program, folder: Path) -> None:
    """Writes float weights once and binds the program to them.

    Executors then read them where they lie, however many there are, instead of computing a copy each.
    """
    folder.mkdir()
    with job.reporter.phase("store", len(large_initializers(program.components))) as advance:
        write_weights(program.components, folder, lambda nbytes: advance(1, nbytes))


def calibration_feeds(job: PrepareJob, program: Program) -> dict[str, list[Feeds]]:
    """Runs the calibration requests and returns what each component was fed."""
    requests = draw_requests(program.requests, job.recipe.calibration.samples)
    with job.reporter.phase("calibrate", 1) as advance:
        executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
        feeds = record_feeds(program, executors, requests)
        advance(1, feeds_nbytes(feeds))
    return feeds


def feeds_nbytes(feeds: dict[str, list[Feeds]]) -> int:
    """Returns the bytes of all arrays."""
    return sum(array.nbytes for samples in feeds.values() for feed in samples for array in feed.values())
