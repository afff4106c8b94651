"""What is to be prepared, and what tells it from everything else that may lie in the cache."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from exporter.sources.fingerprint import source_fingerprint, source_identity
from npuc.caching.cache import Cache, content_key, package_digest
from npuc.settings.recipe import Gates, Recipe
from npuc.stages.capture.options import calibration_digest
from npuc.stages.learn.training_data_digest import training_data_digests
from npuc.terminal.progress import ProgressReporter
from npuc.version import optional_versions, tool_versions

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
        keeps_float: Whether the float program is kept beside the prepared one, for what is made of it later.
    """

    model: str
    recipe: Recipe
    dump_folder: Path | None
    reporter: ProgressReporter
    cache: Cache
    keeps_float: bool = False


def prepare_key(job: PrepareJob) -> str | None:
    """Returns what identifies the result of `prepare`; None where it is not to be cached.

    Raises:
        DiagnosticError: The training data is not usable.
    """
    decisive = _decisive(job)  # first, so that unusable data is refused before any work
    fingerprint = source_fingerprint(job.model) if job.dump_folder is None else None
    return None if fingerprint is None else content_key("prepare", fingerprint, [job.keeps_float], *decisive)


def training_folder(job: PrepareJob) -> Path | None:
    """Returns where unfinished training is kept; None where nothing is trained, or the model cannot be recognised."""
    identity = source_identity(job.model) if trains(job.recipe) else None
    if identity is None:
        return None
    return job.cache.work_folder(content_key("train", identity, *_decisive(job)))


def trains(recipe: Recipe) -> bool:
    """Whether a recipe changes weights after the model is captured."""
    return recipe.qat is not None or recipe.prune is not None


def _decisive(job: PrepareJob) -> tuple[dict[str, Any], list[Any], str, dict[str, Any], str]:
    """Returns what decides the result besides the model."""
    recipe = job.recipe.model_dump(
        mode="json", exclude={"name": True, "gates": _BINARY_GATES, "npu": True, "precision": {"npu"}}
    )
    code = package_digest("program", "exporter", "passes", "npuc")
    versions = tool_versions() | optional_versions()
    return recipe, training_data_digests(job.recipe), calibration_digest(job.recipe), versions, code
