"""Distils a small student of the same family from a model folder; the result is a model folder again."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from exporter.files.model_folder import ModelFolder
from passes.learning.distillation.families import StudentFamily, student_family
from passes.learning.distillation.objective import Objective, layer_pairs, make_projections, stack_of
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.selection import EVERYWHERE
from passes.learning.distillation.student import Student, load_teacher, prepare_student
from passes.learning.distillation.student_folder import write_student
from passes.learning.distillation.task import Task
from passes.learning.distillation.teacher import CachedTeacher, OnlineTeacher, Teacher
from passes.learning.training.batches import to_device
from passes.learning.training.distributed import current_processes, gathered
from passes.learning.training.loss_curve import DISTILLATION, LossCurve, LossPoint
from passes.learning.training.trainer import Trainer

_HELD_OUT_SEED = 1 << 20


def distill(
    teacher: Path,
    output: Path,
    options: DistillOptions,
    on_step: Callable[[LossPoint], None] | None = None,
) -> dict[str, Any]:
    """Distils a student and writes its folder.

    Args:
        teacher: Model folder.
        output: Folder to write; in several processes, the main one writes.
        options: How.
        on_step: Called after each step in the main process.

    Returns:
        The content of `RECORD_FILE`: sizes, dimensions, losses, agreement before and after.

    Raises:
        DiagnosticError: The folder, the options or the data do not allow it.
    """
    folder = ModelFolder(teacher)
    options = _adapted(options, student_family(folder.config))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    teacher_task = load_teacher(folder, options).to(device)
    student = prepare_student(folder, options, teacher_task)
    student.task.to(device)
    stream = student.family.stream(
        folder,
        options.data,
        options.batch_size,
        options.training.seed,
        options.shapes,
        options.augmenter,
    )
    before = agreement(student, student.task, teacher_task, folder, options)
    curve = train_student(student, teacher_task, stream, options, on_step)
    tensors = _whole_tensors(student.task)
    # the trained parameters may be divided over processes: measure a whole student
    trained = student.family.build(student.config, folder, options.shapes)
    trained.load(lambda name: tensors[name].numpy())
    after = agreement(student, trained.to(device), teacher_task, folder, options)
    record = _record(folder, student, options, curve, {"before": before, "after": after})
    if current_processes().is_main:
        write_student(folder, output, student.config, tensors, record)
        curve.write(output, DISTILLATION)
    current_processes().wait()
    return record


def train_student(
    student: Student,
    teacher: Task,
    stream: Any,
    options: DistillOptions,
    on_step: Callable[[LossPoint], None] | None = None,
) -> LossCurve:
    """Teaches the student, in place.

    Args:
        student: From `prepare_student`.
        teacher: With its weights.
        stream: Of batches.
        options: Losses and training options.
        on_step: Called after each step.
    """
    weights = options.weights
    pairs = layer_pairs(student.layout.stacks, student.selection.layers)
    online = OnlineTeacher(teacher, list(pairs.values()), weights.hidden > 0, weights.attention > 0)
    source: Teacher = online
    if options.cache is not None:
        source = CachedTeacher(online, options.cache, options.top_logits, options.temperature)
    device = next(student.task.parameters()).device
    projections = _projections(student).to(device) if weights.hidden else nn.ModuleDict()
    module = nn.ModuleDict({"student": student.task, "projections": projections})
    objective = Objective(student.task, source, weights, options.temperature, pairs, projections)
    return Trainer(module, objective, stream, options.training, on_step).run()


@torch.no_grad()
def agreement(
    student: Student, task: Task, teacher: Task, folder: ModelFolder, options: DistillOptions
) -> float:
    """Returns the share of rows for which student and teacher prefer the same token, on batches of another seed."""
    seed = options.training.seed + _HELD_OUT_SEED
    stream = student.family.stream(folder, options.data, options.batch_size, seed, options.shapes)
    task.eval()
    device = next(teacher.parameters()).device
    equal = total = 0
    for batch in itertools.islice(iter(stream), options.held_out):
        moved = to_device(batch, device)
        same = task(moved).logits.argmax(-1) == teacher(moved).logits.argmax(-1)
        equal, total = equal + int(same.sum()), total + same.numel()
    return equal / max(1, total)


def _adapted(options: DistillOptions, family: StudentFamily) -> DistillOptions:
    """Fills in what the family decides."""
    training, batch_size = options.training, options.batch_size
    if not training.learning_rate:
        training = dataclasses.replace(training, learning_rate=family.learning_rate)
    parts = batch_size if family.one_by_one else current_processes().count
    if parts > 1:
        # a step's examples are dealt out as smaller batches
        training = dataclasses.replace(training, accumulation=training.accumulation * parts)
        batch_size = max(1, batch_size // parts)
    return dataclasses.replace(options, training=training, batch_size=batch_size)


def _whole_tensors(task: Task) -> dict[str, torch.Tensor]:
    """Gathers the student's tensors; all processes must call it."""
    return {
        name: gathered(tensor).reshape(task.stored_shape(name, tensor)).contiguous()
        for name, tensor in task.named_checkpoint()
    }


def _projections(student: Student) -> nn.ModuleDict:
    stacks = {}
    for stack, path in student.layout.stacks.items():
        dimension = student.family.width_of(stack)
        units = student.selection.units[dimension, EVERYWHERE]
        stacks[stack_of(path)] = (units, student.layout.dimensions[dimension])
    return make_projections(stacks)


def _record(
    folder: ModelFolder,
    student: Student,
    options: DistillOptions,
    curve: LossCurve,
    agreements: Mapping[str, float],
) -> dict[str, Any]:
    solution, layout = student.solution, student.layout
    last = len(curve.points)
    tail = max(1, last // 10)
    return {
        "teacher": {
            "name": folder.path.name,
            "params": layout.count(),
            "dimensions": dict(layout.dimensions),
        },
        "student": {
            "params": solution.params,
            "wished": solution.wished,
            "dimensions": dict(solution.dimensions),
            "parts": dict(solution.counts),
            "criterion": options.criterion,
            "layers": {stack: kept.tolist() for stack, kept in student.selection.layers.items()},
        },
        "losses": dataclasses.asdict(options.weights) | {"temperature": options.temperature},
        "training": dict(options.training.decisive()),
        "loss": {"first": curve.mean(1, tail), "last": curve.mean(last - tail + 1, last)},
        "agreement_with_teacher": dict(agreements),
    }
