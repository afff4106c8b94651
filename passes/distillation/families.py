"""Which families can be distilled, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.reference_model.config import MODEL_TYPE, ModelConfig
from passes.distillation.layout import Layout
from passes.distillation.multimodal_transformer import multimodal_transformer_layout
from passes.distillation.qwen3_vl import qwen3_vl_layout, required_layers
from passes.distillation.task import Batch, Task
from passes.training.batches import DrawnStream
from passes.training.data.augmenter import Augmenter
from passes.training.errors import TrainingError


class OpenStream(Protocol):
    """Opens training data as endless batches."""

    def __call__(
        self,
        folder: ModelFolder,
        data: Path | None,
        size: int,
        seed: int,
        options: CaptureOptions,
        augmenter: Augmenter | None = None,
    ) -> DrawnStream[Batch]:
        """Opens it.

        Args:
            folder: Of the teacher.
            data: As the user named it; None: what the folder itself allows.
            size: Examples in a batch.
            seed: Of the order and of augmentation.
            options: Shapes.
            augmenter: Changes examples, or None.

        Raises:
            TrainingError: The data cannot be read, or the family does not take an augmenter.
        """
        ...


@dataclasses.dataclass(frozen=True)
class StudentFamily:
    """A family whose members can be smaller.

    Attributes:
        layout: config.json → layout.
        required: config.json → stack → layers that stay.
        build: config.json, folder, shapes → task with arbitrary weights.
        stream: Opens the training data.
        width_of: Stack → dimension of its hidden states' width.
        learning_rate: Highest, where the user names none.
        one_by_one: Whether a batch is one example, so that larger ones become accumulation.
    """

    layout: Callable[[Mapping[str, Any]], Layout]
    required: Callable[[Mapping[str, Any]], Mapping[str, Sequence[int]]]
    build: Callable[[Mapping[str, Any], ModelFolder, CaptureOptions], Task]
    stream: OpenStream
    width_of: Callable[[str], str]
    learning_rate: float
    one_by_one: bool = False


def student_family(config: Mapping[str, Any]) -> StudentFamily:
    """Returns the family that a config.json belongs to.

    Raises:
        TrainingError: It cannot be distilled.
    """
    found = _FAMILIES.get(str(config.get("model_type")))
    if found is None:
        raise TrainingError(
            "models of this family cannot be distilled",
            where="config.json",
            received=f"model_type = {str(config.get('model_type'))[:80]!r}",
            remedy=f"supported: {', '.join(sorted(_FAMILIES))}; compile the full model with --tier high",
        )
    return found


def _build_reference(config: Mapping[str, Any], _folder: ModelFolder, _options: CaptureOptions) -> Task:
    from passes.distillation.reference_task import ReferenceTask

    return ReferenceTask(ModelConfig.from_json(config))


def _reference_stream(
    folder: ModelFolder,
    data: Path | None,
    size: int,
    seed: int,
    options: CaptureOptions,  # noqa: ARG001 (protocol)
    augmenter: Augmenter | None = None,
) -> DrawnStream[Batch]:
    from passes.distillation.reference_task import reference_stream

    if augmenter is not None:
        raise TrainingError(
            "this family varies its training data by itself",
            where="augmentation",
            remedy="leave the recipe's section [augment] out when the bundled model is distilled",
        )
    return reference_stream(folder, data, size, seed)


def _build_qwen3_vl(config: Mapping[str, Any], folder: ModelFolder, options: CaptureOptions) -> Task:
    from passes.distillation.qwen3_vl_task import build_task

    return build_task(config, folder, options)


def _qwen3_vl_stream(
    folder: ModelFolder,
    data: Path | None,
    size: int,
    seed: int,
    options: CaptureOptions,
    augmenter: Augmenter | None = None,
) -> DrawnStream[Batch]:
    from passes.distillation.qwen3_vl_task import qwen3_vl_stream

    return qwen3_vl_stream(folder, data, size, seed, options, augmenter)


_FAMILIES: Mapping[str, StudentFamily] = {
    MODEL_TYPE: StudentFamily(
        multimodal_transformer_layout,
        lambda _config: {},
        _build_reference,
        _reference_stream,
        lambda _stack: "width",
        learning_rate=3e-3,
    ),
    "qwen3_vl": StudentFamily(
        qwen3_vl_layout,
        required_layers,
        _build_qwen3_vl,
        _qwen3_vl_stream,
        lambda stack: "vision_width" if stack == "vision_layers" else "text_width",
        learning_rate=3e-4,
        one_by_one=True,
    ),
}
