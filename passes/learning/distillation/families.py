"""Which families can be distilled, and how."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from passes.learning.distillation.layout import Layout
from passes.learning.distillation.qwen3_vl import qwen3_vl_layout, required_layers
from passes.learning.distillation.task import Batch, Task
from passes.learning.training.batches import DrawnStream
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.errors import TrainingError
from program.offers import load_offer

ENTRY_POINT_GROUP = "npuc.students"
"""An entry point of this group, named as the `model_type` in config.json, names a `StudentFamily`."""


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
        TrainingError: It cannot be distilled, or the package that can cannot be loaded.
    """
    name = str(config.get("model_type"))
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    offered = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in offered:
        raise TrainingError(
            "models of this family cannot be distilled",
            where="config.json",
            received=f"model_type = {name[:80]!r}",
            remedy=f"supported: {', '.join(sorted({*_BUILT_IN, *offered}))}; compile the full model with --tier high",
        )
    return cast("StudentFamily", load_offer(offered[name], "to distil this family", TrainingError))


def _build_qwen3_vl(config: Mapping[str, Any], folder: ModelFolder, options: CaptureOptions) -> Task:
    from passes.learning.distillation.qwen3_vl_task import build_task

    return build_task(config, folder, options)


def _qwen3_vl_stream(
    folder: ModelFolder,
    data: Path | None,
    size: int,
    seed: int,
    options: CaptureOptions,
    augmenter: Augmenter | None = None,
) -> DrawnStream[Batch]:
    from passes.learning.distillation.qwen3_vl_task import qwen3_vl_stream

    return qwen3_vl_stream(folder, data, size, seed, options, augmenter)


_BUILT_IN: Mapping[str, StudentFamily] = {
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
