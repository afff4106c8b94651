"""The model gives way to a student distilled from it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from exporter.sources.fingerprint import source_identity
from exporter.sources.locate import model_path
from npuc.artifact.training_curves import copy_curve
from npuc.caching.cache import Cache, content_key, package_digest
from npuc.errors import StageUnavailableError
from npuc.settings.recipe import Distill, Recipe
from npuc.stages.capture.options import capture_options
from npuc.stages.learn.augmentation import make_augmenter
from npuc.stages.learn.training_data_digest import data_digest
from npuc.terminal.progress import ProgressReporter
from npuc.version import tool_versions
from passes.learning.distillation.objective import LossWeights
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.run import distill
from passes.learning.distillation.student_folder import RECORD_FILE
from passes.learning.training.loss_curve import DISTILLATION
from passes.learning.training.options import TrainingOptions
from program.remark import Remark

_WARMUP_SHARE = 0.05
_CHECKPOINT_EVERY = 100


@dataclasses.dataclass(frozen=True)
class StudentSource:
    """A student that stands in for the model.

    Attributes:
        folder: Its model folder, in the cache.
        record: What `distill` reports.
    """

    folder: Path
    record: dict[str, Any]


def distill_model(
    model: str, recipe: Recipe, cache: Cache, reporter: ProgressReporter
) -> StudentSource | None:
    """Distils the recipe's student, or takes it from the cache; an interrupted training goes on.

    Args:
        model: As the user named it.
        recipe: Its sections [distill] and [capture].
        cache: Keeps students and checkpoints.
        reporter: Is told about progress.

    Returns:
        None where the recipe asks for no student, or the model is one already.

    Raises:
        DiagnosticError: The model is no folder, or cannot be distilled.
    """
    settings = recipe.distill
    if settings is None:
        return None
    folder = model_path(model)
    if folder.is_dir() and (folder / RECORD_FILE).is_file():
        reporter.note("the model is a distilled student already: it is compiled as it is")
        return None
    if not folder.is_dir():
        raise StageUnavailableError(
            "only a model folder can be distilled: a graph does not say which smaller ones are of its family",
            where=f"recipe {recipe.name!r}, section [distill]",
            received=model,
            remedy="name a folder with config.json, or compile the full model with --tier high",
        )
    key = _key(model, recipe)
    checkpoints = cache.work_folder(key)
    options = _options(settings, recipe, checkpoints)

    def build(building: Path) -> dict[str, Any]:
        with reporter.phase("distill", settings.steps) as advance:
            return distill(folder, building, options, lambda _point: advance(1, 0))

    student, record = cache.keep(key, build, lambda: reporter.note("student: taken from the cache"))
    shutil.rmtree(checkpoints, ignore_errors=True)
    reporter.note(summary_line(record))
    return StudentSource(student, record)


def student_remark(record: dict[str, Any]) -> Remark:
    """Returns why the student is as it is."""
    student, teacher = record["student"], record["teacher"]
    cut = ", ".join(
        f"{name} {teacher['dimensions'][name]} → {size}"
        for name, size in student["dimensions"].items()
        if size != teacher["dimensions"][name]
    )
    return Remark(
        "distill",
        "student",
        "",
        f"{student['params']} of {teacher['params']} parameters: {cut}",
        "the smaller of the wish and the largest share of the teacher",
        {"wished": student["wished"], **record["agreement_with_teacher"]},
    )


def summary_line(record: dict[str, Any]) -> str:
    """Returns sizes and agreement in one line."""
    student, teacher, agreement = record["student"], record["teacher"], record["agreement_with_teacher"]
    share = student["params"] / teacher["params"]
    return (
        f"student: {student['params'] / 1e6:.3g} M of {teacher['params'] / 1e6:.3g} M parameters ({share:.0%}); "
        f"chooses the teacher's token in {agreement['after']:.1%} of cases ({agreement['before']:.1%} untrained)"
    )


def copy_student_curve(student: StudentSource, folder: Path) -> None:
    """Copies the loss curve into the artifact."""
    copy_curve(student.folder, DISTILLATION, folder)


def _options(settings: Distill, recipe: Recipe, checkpoints: Path) -> DistillOptions:
    training = TrainingOptions(
        steps=settings.steps,
        learning_rate=settings.learning_rate or 0.0,
        warmup_steps=round(settings.steps * _WARMUP_SHARE),
        precision=settings.precision,
        seed=settings.seed,
        checkpoints=checkpoints / "checkpoints",
        checkpoint_every=_CHECKPOINT_EVERY,
    )
    return DistillOptions(
        training=training,
        params=settings.params,
        largest_share=settings.largest_share,
        vision_share=settings.vision_share,
        criterion=settings.criterion,
        weights=LossWeights(
            settings.logits_weight, settings.hidden_weight, settings.attention_weight, settings.task_weight
        ),
        temperature=settings.temperature,
        data=None if settings.data is None else Path(settings.data).expanduser(),
        augmenter=make_augmenter(recipe.augment, settings.steps * settings.batch_size),
        batch_size=settings.batch_size,
        cache=checkpoints / "teacher" if settings.top_logits else None,
        top_logits=settings.top_logits,
        shapes=capture_options(recipe),
    )


def _key(model: str, recipe: Recipe) -> str:
    settings = recipe.model_dump(mode="json", include={"distill", "capture", "augment"})
    code = package_digest("passes.learning.distillation", "passes.learning.training", "exporter", "program")
    data = (
        ""
        if recipe.distill is None or recipe.distill.data is None
        else data_digest(recipe.distill.data, may_be_folder=True)
    )
    return content_key("distill", source_identity(model) or "", settings, data, tool_versions(), code)
