import itertools
import json

import numpy as np
import pytest
import torch
from torch import nn

from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from npuc.demo import demo_folder
from passes.learning.distillation.families import student_family
from passes.learning.distillation.importance import activation_norms
from passes.learning.distillation.layout import Axis, Choice, Layout, Part, Weight
from passes.learning.distillation.options import DistillOptions
from passes.learning.distillation.selection import EVERYWHERE, weight_norms
from passes.learning.distillation.student import checkpoint_reader, load_teacher, prepare_student
from passes.learning.distillation.task import Prediction, Task
from passes.learning.training.options import TrainingOptions

SHAPES = CaptureOptions(image_size=(64, 96), prefill_length=8, cache_length=128)


class TwoLayers(Task):
    def __init__(self):
        layers = {"up": nn.Linear(3, 4, bias=False), "down": nn.Linear(4, 2, bias=False)}
        super().__init__(nn.ModuleDict(layers))

    def forward(self, batch):
        logits = self.network["down"](self.network["up"](batch["x"]))
        return Prediction(logits, torch.zeros(len(logits), dtype=torch.int64))


def two_layers_layout():
    width = Axis("width")
    weights = (Weight("up.weight", (width, Axis("", 3))), Weight("down.weight", (Axis("", 2), width)))
    part = Part("all", weights, (Choice("width"),))
    return Layout({"width": 4}, (part,), lambda values: values, {}, lambda _chosen, _layers: {})


def test_the_score_is_activation_times_weight_where_a_unit_is_read():
    task, rng = TwoLayers(), torch.Generator().manual_seed(0)
    batches = [{"x": torch.randn(5, 3, generator=rng)} for _ in range(2)]
    scores = activation_norms(two_layers_layout(), task, batches)
    up, down = (task.network[name].weight.detach().numpy() for name in ("up", "down"))
    read = np.concatenate([batch["x"].numpy() @ up.T for batch in batches])
    expected = np.linalg.norm(read, axis=0) * np.abs(down).sum(0)
    assert list(scores) == [("width", EVERYWHERE)]
    np.testing.assert_allclose(scores["width", EVERYWHERE], expected / expected.sum(), rtol=1e-5)


def test_a_unit_that_carries_nothing_is_worth_nothing_whatever_its_weights():
    task = TwoLayers()
    with torch.no_grad():
        task.network["up"].weight[2] = 0
        task.network["down"].weight[:, 2] = 100
    scores = activation_norms(two_layers_layout(), task, [{"x": torch.ones(1, 3)}])["width", EVERYWHERE]
    assert scores[2] == 0 and (np.delete(scores, 2) > 0).all()
    tensors = {name: tensor.detach().numpy() for name, tensor in task.named_checkpoint()}
    assert weight_norms(two_layers_layout(), tensors.__getitem__)["width", EVERYWHERE].argmax() == 2


@pytest.mark.parametrize("name", ["demo", "tied", "untied"])
def test_every_unit_of_a_family_gets_a_score(name, tiny_qwen3_vl):
    path = demo_folder() if name == "demo" else tiny_qwen3_vl[name]
    folder, options = ModelFolder(path), DistillOptions(TrainingOptions(steps=1), batch_size=1, shapes=SHAPES)
    family, layout = student_family(folder.config), student_family(folder.config).layout(folder.config)
    stream = family.stream(folder, None, 1, 0, SHAPES)
    teacher = load_teacher(folder, options)
    scores = activation_norms(layout, teacher, itertools.islice(stream, 2))
    by_weights = weight_norms(layout, checkpoint_reader(folder))
    assert {key: len(values) for key, values in scores.items()} == {
        key: len(values) for key, values in by_weights.items()
    }
    assert all((values > 0).all() for values in scores.values())


def test_the_criterion_decides_what_is_kept(tiny_qwen3_vl):
    folder = ModelFolder(tiny_qwen3_vl["tied"])
    kept = {}
    for criterion in ("activation_norm", "weight_norm"):
        options = DistillOptions(
            TrainingOptions(steps=1), "60%", 0.6, criterion=criterion, batch_size=1, shapes=SHAPES
        )
        student = prepare_student(folder, options)
        kept[criterion] = json.dumps([units.tolist() for units in student.selection.units.values()])
        again = prepare_student(folder, options).selection.units
        assert kept[criterion] == json.dumps([units.tolist() for units in again.values()])
    assert kept["activation_norm"] != kept["weight_norm"]
