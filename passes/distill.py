"""Distils a small student of the same family from a model folder; the result is a model folder again."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import torch
from safetensors.torch import save_file
from torch import nn

from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.weights import INDEX_FILE, SINGLE_FILE, Checkpoint
from passes.distillation.families import StudentFamily, student_family
from passes.distillation.initialise import initialise_student
from passes.distillation.layout import Layout
from passes.distillation.objective import LossWeights, Objective, layer_pairs, make_projections, stack_of
from passes.distillation.selection import EVERYWHERE, Read, Selection, select, weight_norms
from passes.distillation.solve import Solution, solve, wished_params
from passes.distillation.task import Task
from passes.distillation.teacher import CachedTeacher, OnlineTeacher, Teacher
from passes.training.batches import to_device
from passes.training.distributed import current_processes, gathered
from passes.training.loss_curve import LossCurve, LossPoint
from passes.training.options import TrainingOptions
from passes.training.trainer import Trainer

RECORD_FILE = "distillation.json"
"""Beside the student's config.json: where the student comes from."""

CURVE_NAME = "distillation_loss"
"""Stem of the loss curve's files."""

_COPIED_BYTES = 64 << 20
_WEIGHT_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".onnx", ".pkl", ".gguf", ".h5"})
_HELD_OUT_SEED = 1 << 20


@dataclasses.dataclass(frozen=True)
class DistillOptions:
    """How to distil.

    Attributes:
        training: Steps, learning rate (0 stands for the family's), precision, checkpoints.
        params: Size of the student: `1.0B`, `300M` or `25%`.
        largest_share: The student never has more than this share of the teacher's parameters.
        vision_share: Share of the vision tower in the student's parameters, where it is a part of its own; default:
            as in the teacher.
        weights: Of the losses.
        temperature: Of the logits.
        data: Training data; default: what the model folder itself allows.
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
    weights: LossWeights = dataclasses.field(default_factory=LossWeights)
    temperature: float = 2.0
    data: Path | None = None
    batch_size: int = 16
    cache: Path | None = None
    top_logits: int = 0
    held_out: int = 8
    shapes: CaptureOptions = dataclasses.field(default_factory=CaptureOptions)


@dataclasses.dataclass(frozen=True)
class Student:
    """A student before it has learned anything.

    Attributes:
        family: Builds tasks and opens data.
        layout: Of the teacher.
        solution: The student's dimensions.
        selection: What of the teacher it began as.
        config: Content of its config.json.
        task: With the cut weights.
        read: Gives the teacher's tensors.
    """

    family: StudentFamily
    layout: Layout
    solution: Solution
    selection: Selection
    config: dict[str, Any]
    task: Task
    read: Read


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
    student = prepare_student(folder, options)
    student.task.to(device)
    teacher_task = student.family.build(folder.config, folder, options.shapes)
    teacher_task.load(student.read)
    teacher_task.to(device).eval().requires_grad_(False)
    stream = student.family.stream(
        folder, options.data, options.batch_size, options.training.seed, options.shapes
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
        curve.write(output, CURVE_NAME)
    current_processes().wait()
    return record


def prepare_student(folder: ModelFolder, options: DistillOptions) -> Student:
    """Solves the student's dimensions and cuts the teacher down to them.

    Raises:
        DiagnosticError: The family cannot be distilled, or no student has the wished size.
    """
    family = student_family(folder.config)
    layout = family.layout(folder.config)
    wished = wished_params(options.params, layout.count(), options.largest_share)
    named = {"vision": options.vision_share} if options.vision_share is not None else {}
    known = {part.name for part in layout.parts}
    shares = {name: share for name, share in named.items() if name in known}
    solution = solve(layout, wished, shares)
    read = checkpoint_reader(folder)
    selection = select(
        layout, solution.dimensions, weight_norms(layout, read), required=family.required(folder.config)
    )
    config = layout.configured(solution.dimensions, selection.layers)
    task = family.build(config, folder, options.shapes)
    tensors = dict(initialise_student(layout, solution.dimensions, selection, read))
    task.load(tensors.__getitem__)
    return Student(family, layout, solution, selection, config, task, read)


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


def checkpoint_reader(folder: ModelFolder) -> Read:
    """Returns a function that reads one tensor of a folder as float32."""
    checkpoint = Checkpoint(folder)

    def read(name: str) -> npt.NDArray[np.float32]:
        shape = checkpoint.stored(name).shape
        values: npt.NDArray[np.float32] = checkpoint.tensor(name, ir.DataType.FLOAT, shape).numpy()
        return values

    return read


def write_student(
    teacher: ModelFolder,
    output: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    record: Mapping[str, Any],
) -> None:
    """Writes a model folder: weights and configuration of the student, everything else as the teacher has it."""
    output.mkdir(parents=True, exist_ok=True)
    own = {*Checkpoint(teacher).files, SINGLE_FILE, INDEX_FILE, "config.json", RECORD_FILE}
    for path in sorted(teacher.path.iterdir()):
        if path.name in own or path.suffix in _WEIGHT_SUFFIXES or not path.is_file():
            continue
        source = teacher.file(path.name)
        if source.stat().st_size <= _COPIED_BYTES:
            shutil.copyfile(source, output / path.name)
    save_file(dict(tensors), output / SINGLE_FILE, metadata={"format": "pt"})
    (output / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (output / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


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
            "layers": {stack: kept.tolist() for stack, kept in student.selection.layers.items()},
        },
        "losses": dataclasses.asdict(options.weights) | {"temperature": options.temperature},
        "training": dict(options.training.decisive()),
        "loss": {"first": curve.mean(1, tail), "last": curve.mean(last - tail + 1, last)},
        "agreement_with_teacher": dict(agreements),
    }
