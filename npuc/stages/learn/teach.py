"""Lets a program answer requests, for networks that are trained towards its answers."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.errors import RequestError, SourceError
from npuc.artifact.weights_file import large_initializers
from npuc.stages.capture.observe import FEEDS_PER_REQUEST, NEW_TOKENS, program_runner
from npuc.terminal.progress import ProgressReporter
from passes.learning.training.errors import TrainingError
from passes.learning.training.recording import Call, Recording, record
from program.onnx_executor import OnnxExecutor
from program.program import Program, Request

_SMALL_BYTES = 64 << 20


def teach(program: Program, requests: Sequence[Request], reporter: ProgressReporter) -> list[Recording]:
    """Runs a program as it is now.

    Args:
        program: The teacher.
        requests: What to ask.
        reporter: Is told about progress.

    Returns:
        The calls of each request, in memory.

    Raises:
        TrainingError: A request does not fit the program.
    """
    weights = large_initializers(program.components)
    # an operator of a small model takes less time than handing half of it to another thread
    threads = 1 if sum(tensor.nbytes for tensor in weights.values()) < _SMALL_BYTES else 2
    executors = {
        name: OnnxExecutor(component.model, threads=threads) for name, component in program.components.items()
    }
    runner = program_runner(program)
    recordings = []
    known: dict[bytes, Call] = {}
    with reporter.phase("teach", len(requests)) as advance:
        for request in requests:
            try:
                recordings.append(record(runner, executors, request, NEW_TOKENS, FEEDS_PER_REQUEST, known))
            except (RequestError, SourceError) as error:
                raise _unanswerable(request, error) from error
            advance(1, 0)
    return recordings


def _unanswerable(request: Request, error: RequestError | SourceError) -> TrainingError:
    return TrainingError(
        "the model cannot answer a request that is to train it",
        where=f"request {request.prompt[:80]!r}",
        received="; ".join(part for part in (error.what, error.received) if part),
        remedy=error.remedy,
    )
