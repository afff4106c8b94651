"""Stages 1 to 5 together: everything that depends on the model and the recipe but not on the device.

The result is a folder (weights, reference graphs, samples, assets, remarks) and a summary. Both are kept in the
cache, so that a second device, or a run after an interruption, starts from here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuc.stages.capture import capture_model
from npuc.stages.prepare_job import PrepareJob, prepare_key

if TYPE_CHECKING:
    from npuc.stages.prepared import Prepared


def prepare(job: PrepareJob, folder: Path) -> Prepared:
    """Fills `folder` and returns what was prepared.

    Where something was trained, the float program lies there too, until `drop_float_program`.

    Args:
        job: What to prepare.
        folder: Of the artifact.

    Raises:
        DiagnosticError: The model cannot be read, captured, rewritten or executed.
    """
    summary = _fetch(job, folder)
    from npuc.stages.prepared import load_prepared

    return load_prepared(summary, folder)


def _fetch(job: PrepareJob, folder: Path) -> dict[str, Any]:
    key = prepare_key(job)
    if key is None:
        return _build(job, folder)
    return job.cache.fetch(
        key,
        folder,
        lambda building: _build(job, building),
        lambda: job.reporter.note("capture to weights: taken from the cache"),
    )


def _build(job: PrepareJob, folder: Path) -> dict[str, Any]:
    captured = capture_model(job)
    # a model that is refused need not wait for the libraries of passes and reference
    from npuc.stages.write_prepared import write_prepared

    return write_prepared(job, captured, folder)
