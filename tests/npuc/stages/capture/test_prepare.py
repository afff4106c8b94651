"""A tiny Qwen3-VL folder, prepared with training data of the user's: distillation, sub-networks, fine-tuning."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npuc.caching.cache import Cache
from npuc.settings.recipe import Recipe
from npuc.settings.training_settings import with_training
from npuc.stages.capture.prepare import prepare
from npuc.stages.capture.prepare_job import PrepareJob
from npuc.stages.capture.prepared import Prepared
from tests.npuc.interrupted import Interrupting

RECIPE = {
    "capture": {"image_height": 64, "image_width": 64, "prefill_length": 16, "cache_length": 64},
    "calibration": {"samples": 2, "method": "absmax"},
    "distill": {"params": "60%", "largest_share": 0.6, "steps": 2, "batch_size": 2},
    "prune": {
        "subnetworks": [{"name": "full", "operations": 1.0}, {"name": "balanced", "operations": 0.9}],
        "steps": 2,
        "requests": 6,
        "batch_size": 2,
    },
    "qat": {"steps": 3, "requests": 6, "batch_size": 2},
    "augment": {"image": 0.5, "ramp": 1.0},
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A manifest of pictures with questions and answers."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for index, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (40, 30), colour).save(folder / f"{index}.png")
        lines.append(json.dumps({"image": f"{index}.png", "text": "which colour?", "answer": colour}))
    lines.append(json.dumps({"text": "say yes", "answer": "yes"}))
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder / "train.jsonl"


@dataclasses.dataclass(frozen=True)
class Outcome:
    prepared: Prepared
    folder: Path
    cache: Path
    trained: int

    def curve(self, name):
        return json.loads((self.folder / "training" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def outcome(tiny_qwen_folder, data, tmp_path_factory):
    """All three at once: the model is captured once."""
    folder, cache = tmp_path_factory.mktemp("artifact"), tmp_path_factory.mktemp("cache")
    reporter = Interrupting()
    recipe = with_training(Recipe.model_validate(RECIPE), None, data)
    prepared = prepare(PrepareJob(str(tiny_qwen_folder), recipe, None, reporter, Cache(cache)), folder)
    return Outcome(prepared, folder, cache, reporter.trained)


def test_sub_networks_and_fine_tuning_learn_from_the_manifest(outcome):
    assert outcome.trained == 5
    assert [network.name for network in outcome.prepared.subnetworks] == ["full", "balanced"]
    assert outcome.prepared.subnetworks[1].share <= 0.9
    for name, steps in (("subnetworks", 2), ("qat", 3)):
        points = outcome.curve(name)
        assert len(points) == steps and all(np.isfinite(point["loss"]) for point in points)


def test_a_student_learns_from_the_manifest(outcome):
    record = outcome.prepared.program.provenance["distilled"]
    assert 0.58 < record["student"]["params"] / record["teacher"]["params"] < 0.62
    assert set(record["agreement_with_teacher"]) == {"before", "after"}
    terms = [sorted(point["terms"]) for point in outcome.curve("distillation_loss")]
    assert terms == [["hidden", "logits", "task"]] * 2


def test_no_unfinished_training_stays(outcome):
    assert not list((outcome.cache / "work").glob("*"))
