"""Everything that depends on the model and the recipe but not on the device.

The result is a folder (weights, reference graphs, samples, assets, remarks) and a summary. Both are kept in the
cache, so that a second device, or a run after an interruption, starts from here.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npuc.stages.capture.capture import capture_model
from npuc.stages.capture.prepare_job import PrepareJob, prepare_key

if TYPE_CHECKING:
    from npuc.stages.capture.prepared import Prepared
    from program.program import Feeds


def prepare(job: PrepareJob, folder: Path) -> Prepared:
    """Fills `folder` and returns what was prepared.

    Where it is wanted, the float program lies there too, until `drop_float_program`.

    Args:
        job: What to prepare.
        folder: Of the artifact.

    Raises:
        DiagnosticError: The model cannot be read, captured, rewritten or executed.
    """
    feeds: dict[str, list[Feeds]] = {}

    def build(building: Path) -> dict[str, Any]:
        captured = capture_model(job)
        # a model that is refused need not wait for the libraries of passes and reference
        from npuc.stages.capture.write_prepared import write_prepared

        summary, recorded = write_prepared(job, captured, building)
        feeds.update(recorded)
        return summary

    key = prepare_key(job)
    told = functools.partial(job.reporter.note, "capture to weights: taken from the cache")
    summary = build(folder) if key is None else job.cache.fetch(key, folder, build, told)
    from npuc.stages.capture.prepared import load_prepared

    return dataclasses.replace(load_prepared(summary, folder), feeds=feeds or None)
