import json

import numpy as np
import pytest

from exporter.files.model_folder import ModelFolder
from npuc.demo import demo_folder
from passes.learning.distillation.families import student_family
from passes.learning.distillation.initialise import initialise_student
from passes.learning.distillation.selection import EVERYWHERE, _layers, select, weight_norms
from passes.learning.distillation.student import checkpoint_reader


@pytest.fixture(scope="module")
def demo():
    config = json.loads((demo_folder() / "config.json").read_text())
    return student_family(config).layout(config), checkpoint_reader(ModelFolder(demo_folder()))


@pytest.mark.parametrize(
    ("count", "kept", "required", "expected"),
    [
        (24, 3, (), [0, 11, 23]),
        (24, 1, (), [0]),
        (8, 8, (), list(range(8))),
        (24, 4, (5, 11, 17), [5, 11, 17, 23]),
        (24, 5, (5, 11, 17), [0, 5, 11, 17, 23]),
        (3, 2, (0, 2), [0, 2]),
    ],
)
def test_layers_are_spread_and_keep_those_required(count, kept, required, expected):
    assert _layers(count, kept, required, None).tolist() == expected


def test_layers_by_score():
    assert _layers(5, 3, (), [0.1, 0.9, 0.2, 0.8, 0.3]).tolist() == [1, 3, 4]
    assert _layers(5, 3, (0,), [0.1, 0.9, 0.2, 0.8, 0.3]).tolist() == [0, 1, 3]


def test_scores_are_by_layer_where_layers_alone_have_the_dimension(demo):
    layout, read = demo
    scores = weight_norms(layout, read)
    assert scores["width", EVERYWHERE].shape == (64,)
    assert scores["mixer_width", EVERYWHERE].shape == (192,)
    assert all((values > 0).all() for values in scores.values())


def test_a_large_channel_is_kept(demo):
    layout, read = demo

    def changed(name):
        values = np.array(read(name))
        axes = next(w.axes for w in layout.weights if name in {w.name.format(layer=i) for i in range(4)})
        for position, axis in enumerate(axes):
            if axis.dimension == "width" and axis.repeats == 1:
                np.moveaxis(values, position, 0)[7] *= 30
        return values

    student = {**layout.dimensions, "width": 16}
    kept = select(layout, student, weight_norms(layout, changed)).units["width", EVERYWHERE]
    assert len(kept) == 16 and 7 in kept


def test_the_whole_teacher_initialises_itself(demo):
    layout, read = demo
    selection = select(layout, layout.dimensions, weight_norms(layout, read))
    made = dict(initialise_student(layout, layout.dimensions, selection, read))
    assert set(made) == {
        w.name.format(layer=i)
        for w in layout.weights
        for i in range(2 if w.layers not in ("", "text_layers") else 1)
    }
    assert all(np.array_equal(values, read(name)) for name, values in made.items())


def test_tensors_that_belong_together_are_cut_alike(demo):
    layout, read = demo
    student = {**layout.dimensions, "width": 32, "heads": 2, "mlp_width": 40, "decoder_layers": 1}
    selection = select(layout, student, weight_norms(layout, read))
    made = dict(initialise_student(layout, student, selection, read))
    width = selection.units["width", EVERYWHERE]
    assert np.array_equal(made["decoder.head.weight"], read("decoder.head.weight")[:, width])
    assert made["decoder.blocks.0.attention.query.weight"].shape == (32, 32)
    assert "decoder.blocks.1.attention.query.weight" not in made
    scene = made["fusion.mixer.norm.weight"].reshape(4, 32)
    assert np.array_equal(scene, read("fusion.mixer.norm.weight").reshape(4, 64)[:, width])
