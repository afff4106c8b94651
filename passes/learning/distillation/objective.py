"""The loss of a distillation step, put together from its terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from passes.learning.distillation.layout import Indices
from passes.learning.distillation.losses import attention_loss, hidden_loss, logits_loss, task_loss
from passes.learning.distillation.observe import Observation, observing
from passes.learning.distillation.task import Batch, Task
from passes.learning.distillation.teacher import Teacher, TeacherOutputs
from passes.learning.training.errors import TrainingError


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Weights of the terms; a term of weight 0 is not computed.

    Attributes:
        logits: Of `losses.logits_loss`.
        hidden: Of `losses.hidden_loss`, averaged over layers.
        attention: Of `losses.attention_loss`, averaged over maps of equal shape.
        task: Of `losses.task_loss`.
    """

    logits: float = 1.0
    hidden: float = 5.0
    attention: float = 0.0
    task: float = 0.5

    def __post_init__(self) -> None:
        values = dataclasses.astuple(self)
        if min(values) < 0 or max(values) == 0:
            raise TrainingError(
                "the weights of the distillation losses are not usable",
                received=str(dataclasses.asdict(self)),
                remedy="give weights of 0 or more, one of them above 0",
            )


class Objective:
    """Compares student and teacher on a batch.

    Args:
        student: Is trained.
        teacher: Gives the outputs to compare with.
        weights: Of the terms.
        temperature: Of the logits.
        layers: Path of a student's layer → path of the teacher's layer it began as.
        projections: From `make_projections`; trained together with the student.
    """

    def __init__(
        self,
        student: Task,
        teacher: Teacher,
        weights: LossWeights,
        temperature: float,
        layers: Mapping[str, str],
        projections: nn.ModuleDict,
    ) -> None:
        self._student = student
        self._teacher = teacher
        self._weights = weights
        self._temperature = temperature
        self._layers = layers if weights.hidden or weights.attention else {}
        self._projections = projections

    def __call__(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Returns the weighted terms."""
        weights = self._weights
        needs_teacher = bool(weights.logits or weights.hidden or weights.attention)
        outputs = self._teacher(batch) if needs_teacher else None
        with observing(self._student.network, tuple(self._layers), weights.attention > 0) as seen:
            prediction = self._student(batch)
        terms: dict[str, torch.Tensor] = {}
        if weights.task:
            terms["task"] = weights.task * task_loss(prediction.logits, prediction.targets)
        if outputs is not None and weights.logits:
            terms["logits"] = weights.logits * logits_loss(
                prediction.logits, outputs.logits, self._temperature
            )
        if outputs is not None and weights.hidden:
            terms["hidden"] = weights.hidden * self._hidden(seen, outputs)
        if outputs is not None and weights.attention:
            terms["attention"] = weights.attention * self._attention(seen, outputs)
        return terms

    def _hidden(self, seen: Observation, outputs: TeacherOutputs) -> torch.Tensor:
        losses = [
            hidden_loss(self._projections[stack_of(path)](seen.hidden[path]), outputs.hidden[source])
            for path, source in self._layers.items()
            if path in seen.hidden  # no vision layer runs for a sequence without a picture
        ]
        mean = torch.stack(losses).mean()
        # layers that ran on nothing: every process has to use the same projections
        unused = [self._projections[stack_of(path)](values).sum() for path, values in seen.blank.items()]
        return mean + 0 * torch.stack(unused).sum() if unused else mean

    def _attention(self, seen: Observation, outputs: TeacherOutputs) -> torch.Tensor:
        losses = [
            attention_loss(student, teacher)
            for path, source in self._layers.items()
            if path in seen.attention
            for student, teacher in zip(seen.attention[path], outputs.attention[source], strict=True)
            if student.shape[-2:] == teacher.shape[-2:]
        ]
        if not losses:
            raise TrainingError(
                "student and teacher have no attention maps of one shape", remedy="set its weight to 0"
            )
        return torch.stack(losses).mean()


def stack_of(path: str) -> str:
    """Returns the key of a layer's stack in the projections: `decoder:layers` of `decoder.layers.3`."""
    return path.rpartition(".")[0].replace(".", ":")


def make_projections(stacks: Mapping[str, tuple[Indices, int]]) -> nn.ModuleDict:
    """Makes a linear map from the student's width to the teacher's for each stack.

    It begins as the inverse of the cut: the student's channel i is the teacher's channel `units[i]`.

    Args:
        stacks: Key of `stack_of` → chosen channels, width of the teacher.
    """
    projections = nn.ModuleDict()
    for name, (units, width) in stacks.items():
        linear = nn.Linear(len(units), width, bias=True)
        with torch.no_grad():
            linear.weight.zero_()
            linear.bias.zero_()
            linear.weight[torch.from_numpy(units), torch.arange(len(units))] = 1.0
        projections[name] = linear
    return projections


def layer_pairs(stacks: Mapping[str, str], layers: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Pairs every layer of the student with the teacher's layer it began as.

    Args:
        stacks: `Layout.stacks`.
        layers: `Selection.layers`.

    Returns:
        Path of the student's module → path of the teacher's.
    """
    return {
        path.format(layer=position): path.format(layer=int(source))
        for stack, path in stacks.items()
        for position, source in enumerate(layers[stack])
    }
