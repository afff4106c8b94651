"""The bundled model's family as one whose members can be distilled; entry point of the group `npuc.students`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from npuc.demo.student.layout import multimodal_transformer_layout
from passes.learning.distillation.families import StudentFamily
from passes.learning.distillation.task import Batch, Task
from passes.learning.training.batches import DrawnStream
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.errors import TrainingError


def _build_reference(config: Mapping[str, Any], _folder: ModelFolder, _options: CaptureOptions) -> Task:
    # torch takes seconds to import: layouts are asked for without training
    from npuc.demo.student.task import ReferenceTask

    return ReferenceTask(ModelConfig.from_json(config))


def _reference_stream(
    folder: ModelFolder,
    data: Path | None,
    size: int,
    seed: int,
    options: CaptureOptions,  # noqa: ARG001 (protocol)
    augmenter: Augmenter | None = None,
) -> DrawnStream[Batch]:
    from npuc.demo.student.task import reference_stream

    if augmenter is not None:
        raise TrainingError(
            "this family varies its training data by itself",
            where="augmentation",
            remedy="leave the recipe's section [augment] out when the bundled model is distilled",
        )
    return reference_stream(folder, data, size, seed)


STUDENT_FAMILY = StudentFamily(
    multimodal_transformer_layout,
    lambda _config: {},
    _build_reference,
    _reference_stream,
    lambda _stack: "width",
    learning_rate=3e-3,
)
