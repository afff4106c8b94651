"""How to distil."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from exporter.options import CaptureOptions
from passes.learning.distillation.objective import LossWeights
from passes.learning.training.data.augmenter import Augmenter
from passes.learning.training.options import TrainingOptions

Criterion = Literal["activation_norm", "weight_norm"]


@dataclasses.dataclass(frozen=True)
class DistillOptions:
    """How to distil.

    Attributes:
        training: Steps, learning rate (0 stands for the family's), precision, checkpoints.
        params: Size of the student: `1.0B`, `300M` or `25%`.
        largest_share: The student never has more than this share of the teacher's parameters.
        vision_share: Share of the vision tower in the student's parameters, where it is a part of its own; default:
            as in the teacher.
        criterion: What the student's first weights are chosen by: `activation_norm`, what units carry times the
            weights that read it, on batches of the training data, or `weight_norm`, their weights alone.
        weights: Of the losses.
        temperature: Of the logits.
        data: Training data; default: what the model folder itself allows.
        augmenter: Changes examples of the training data while the student learns from them, or None. Its schedules
            count batches.
        batch_size: Examples in a batch.
        cache: Folder for the teacher's outputs; default: they are computed for every batch.
        top_logits: Logits of each row that are cached; 0 for all.
        held_out: Batches the agreement with the teacher is measured on.
        shapes: Of pictures and sequences.
    """

    training: TrainingOptions
    params: str = "25%"
    largest_share: float = 0.25
    vision_share: float | None = None
    criterion: Criterion = "activation_norm"
    weights: LossWeights = dataclasses.field(default_factory=LossWeights)
    temperature: float = 2.0
    data: Path | None = None
    augmenter: Augmenter | None = None
    batch_size: int = 16
    cache: Path | None = None
    top_logits: int = 0
    held_out: int = 8
    shapes: CaptureOptions = dataclasses.field(default_factory=CaptureOptions)
