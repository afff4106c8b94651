import json

import pytest
import torch

from exporter.sources import open_source
from npuc.caching.cache import Cache
from npuc.errors import StageUnavailableError
from npuc.settings.recipe import Recipe
from npuc.stages.capture.options import capture_options
from npuc.stages.learn.distill import copy_student_curve, distill_model, student_remark
from npuc.terminal.progress import SilentReporter
from passes.learning.distillation.student_folder import RECORD_FILE

RECIPE = Recipe.model_validate({"name": "quick", "distill": {"params": "1.0B", "steps": 1, "batch_size": 2}})


class Notes(SilentReporter):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cache, notes = Cache(tmp_path_factory.mktemp("cache")), Notes()
    source = distill_model("demo", RECIPE, cache, notes)
    torch.set_num_threads(threads)
    return source, cache, notes


def test_the_wish_is_limited_to_a_quarter_of_the_model(student):
    source, _, notes = student
    assert source.record["student"]["wished"] == round(0.25 * 823_744)
    assert "0.206 M of 0.824 M parameters (25%)" in notes.lines[-1]
    remark = student_remark(source.record)
    assert "width 64 → 32" in remark.what and remark.numbers["wished"] == 205_936


def test_a_student_is_made_once_and_no_checkpoints_stay(student):
    source, cache, _ = student
    notes = Notes()
    again = distill_model("demo", RECIPE, cache, notes)
    assert again == source
    assert notes.lines[0] == "student: taken from the cache"
    assert not list(cache.work_folder("x").parent.glob("*"))


def test_a_student_is_compiled_as_it_is(student):
    source, cache, _ = student
    notes = Notes()
    assert distill_model(str(source.folder), RECIPE, cache, notes) is None
    assert "already" in notes.lines[0]


def test_the_student_is_captured_like_any_model(student):
    program = open_source(student[0].folder, capture_options(RECIPE))
    assert program.settings["config"]["width"] == 32
    assert len(program.requests) > 0


def test_curves_are_copied_into_the_artifact(student, tmp_path):
    copy_student_curve(student[0], tmp_path)
    names = {path.suffix for path in (tmp_path / "training").iterdir()}
    assert names == {".json", ".csv", ".svg"}
    assert len(json.loads((tmp_path / "training" / "distillation_loss.json").read_text())) == 1
    assert json.loads((student[0].folder / RECORD_FILE).read_text()) == student[0].record


def test_without_the_section_nothing_is_distilled(tmp_path):
    assert distill_model("demo", Recipe(), Cache(tmp_path), SilentReporter()) is None


def test_a_graph_cannot_be_distilled(tmp_path):
    with pytest.raises(StageUnavailableError, match="only a model folder") as caught:
        distill_model("model.onnx", RECIPE, Cache(tmp_path), SilentReporter())
    assert caught.value.exit_code == 3
