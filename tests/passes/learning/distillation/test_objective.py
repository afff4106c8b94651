import itertools
import json

import pytest
import torch

from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from passes.learning.distillation import qwen3_vl_task
from passes.learning.distillation.objective import LossWeights, Objective, layer_pairs
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.run import _projections
from passes.learning.distillation.student import load_teacher, prepare_student
from passes.learning.distillation.teacher import OnlineTeacher
from passes.learning.training.distributed import Processes
from passes.learning.training.options import TrainingOptions

SHAPES = CaptureOptions(image_size=(64, 96), prefill_length=8, cache_length=128)


@pytest.fixture
def objective(tiny_qwen3_vl, tmp_path):
    """Losses of a student of Qwen3-VL, and a batch without a picture."""
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "say yes", "answer": "yes"}))
    folder = ModelFolder(tiny_qwen3_vl["tied"])
    options = DistillOptions(
        TrainingOptions(steps=1), "60%", 0.6, criterion="weight_norm", batch_size=1, shapes=SHAPES
    )
    student = prepare_student(folder, options)
    pairs = layer_pairs(student.layout.stacks, student.selection.layers)
    teacher = OnlineTeacher(load_teacher(folder, options), list(pairs.values()), hidden=True, attention=True)
    projections = _projections(student)
    weights = LossWeights(attention=1.0)
    stream = student.family.stream(folder, tmp_path / "train.jsonl", 1, 0, SHAPES)
    (batch,) = itertools.islice(stream, 1)
    return Objective(student.task, teacher, weights, 2.0, pairs, projections), projections, batch


def test_a_text_has_the_losses_of_one_process_in_two(objective, monkeypatch):
    loss, projections, batch = objective
    alone = loss(batch)
    monkeypatch.setattr(qwen3_vl_task, "current_processes", lambda: Processes(0, 2))
    shared = loss(batch)
    assert sorted(alone) == ["attention", "hidden", "logits", "task"]
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value)
    # the vision tower took no part, but its parameters have a gradient that processes can add up
    shared["hidden"].backward()
    assert all(parameter.grad is not None for parameter in projections.parameters())
    assert not projections["vision:blocks"].weight.grad.any()
    assert projections["decoder:layers"].weight.grad.any()
