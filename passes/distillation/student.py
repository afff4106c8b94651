"""A student before it has learned anything: the teacher, cut down."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from exporter.model_folder import ModelFolder
from exporter.weights import Checkpoint
from passes.distillation.families import StudentFamily, student_family
from passes.distillation.initialise import initialise_student
from passes.distillation.layout import Layout
from passes.distillation.options import DistillOptions
from passes.distillation.selection import Read, Selection, select, weight_norms
from passes.distillation.solve import Solution, solve, wished_params
from passes.distillation.task import Task


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


def checkpoint_reader(folder: ModelFolder) -> Read:
    """Returns a function that reads one tensor of a folder as float32."""
    checkpoint = Checkpoint(folder)

    def read(name: str) -> npt.NDArray[np.float32]:
        shape = checkpoint.stored(name).shape
        values: npt.NDArray[np.float32] = checkpoint.tensor(name, ir.DataType.FLOAT, shape).numpy()
        return values

    return read
