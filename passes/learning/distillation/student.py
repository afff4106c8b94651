"""A student before it has learned anything: the teacher, cut down."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint
from passes.learning.distillation.families import StudentFamily, student_family
from passes.learning.distillation.importance import activation_norms
from passes.learning.distillation.initialise import initialise_student
from passes.learning.distillation.layout import Layout
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.selection import Read, Selection, select, weight_norms
from passes.learning.distillation.solve import Solution, solve, wished_params
from passes.learning.distillation.task import Batch, Task
from passes.learning.training.batches import to_device
from passes.learning.training.distributed import current_processes

_IMPORTANCE_BATCHES = 16
_IMPORTANCE_SEED = 1 << 21
"""Added to the seed of training, whose batches are other ones."""


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


def prepare_student(folder: ModelFolder, options: DistillOptions, teacher: Task | None = None) -> Student:
    """Solves the student's dimensions and cuts the teacher down to them.

    Args:
        folder: Of the teacher.
        options: How.
        teacher: With its weights, where there is one already; made for a criterion that needs it.

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
    scores = weight_norms(layout, read)
    if options.criterion == "activation_norm":
        task = teacher or load_teacher(folder, options)
        scores |= activation_norms(layout, task, _batches(folder, options, task))
    selection = select(layout, solution.dimensions, scores, required=family.required(folder.config))
    config = layout.configured(solution.dimensions, selection.layers)
    task = family.build(config, folder, options.shapes)
    tensors = dict(initialise_student(layout, solution.dimensions, selection, read))
    task.load(tensors.__getitem__)
    return Student(family, layout, solution, selection, config, task, read)


def load_teacher(folder: ModelFolder, options: DistillOptions) -> Task:
    """Builds the teacher with its weights, frozen."""
    task = student_family(folder.config).build(folder.config, folder, options.shapes)
    task.load(checkpoint_reader(folder))
    return task.eval().requires_grad_(False)


def _batches(folder: ModelFolder, options: DistillOptions, teacher: Task) -> Iterator[Batch]:
    """Yields batches of the training data to measure importance on."""
    family, seed = student_family(folder.config), options.training.seed + _IMPORTANCE_SEED
    # as many examples in each process as one process would take, so that the choice does not depend on their number
    size = options.batch_size * (1 if family.one_by_one else current_processes().count)
    stream = family.stream(folder, options.data, size, seed, options.shapes)
    device = next(teacher.parameters()).device
    for batch in itertools.islice(iter(stream), _IMPORTANCE_BATCHES):
        yield to_device(batch, device)


def checkpoint_reader(folder: ModelFolder) -> Read:
    """Returns a function that reads one tensor of a folder as float32."""
    checkpoint = Checkpoint(folder)

    def read(name: str) -> npt.NDArray[np.float32]:
        shape = checkpoint.stored(name).shape
        values: npt.NDArray[np.float32] = checkpoint.tensor(name, ir.DataType.FLOAT, shape).numpy()
        return values

    return read
