"""A tiny Qwen3-VL folder, prepared with training data of the user's: sub-networks, fine-tuning, distillation."""

import json

import numpy as np
import pytest
from PIL import Image

from npuc.cache import Cache
from npuc.recipe import Recipe
from npuc.stages.prepare import PrepareJob, prepare
from npuc.training_settings import with_training
from tests.npuc.interrupted import Interrupting
from tests.tiny_qwen3_vl import build

SHAPES = {"image_height": 64, "image_width": 64, "prefill_length": 16, "cache_length": 64}
QUICK = {"capture": SHAPES, "calibration": {"samples": 2, "method": "absmax"}}
NESTED = [{"name": "full", "operations": 1.0}, {"name": "balanced", "operations": 0.9}]


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    pass


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The model's folder, and a manifest of pictures with questions and answers."""
    model, data = tmp_path_factory.mktemp("tiny"), tmp_path_factory.mktemp("data")
    build(model, tied=True)
    lines = []
    for index, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (40, 30), colour).save(data / f"{index}.png")
        lines.append(json.dumps({"image": f"{index}.png", "text": "which colour?", "answer": colour}))
    lines.append(json.dumps({"text": "say yes", "answer": "yes"}))
    (data / "train.jsonl").write_text("\n".join(lines))
    return model, data / "train.jsonl"


def prepared(folders, folder, cache, reporter=None, **sections):
    model, data = folders
    folder.mkdir()
    recipe = with_training(Recipe.model_validate({**QUICK, **sections}), None, data)
    return prepare(PrepareJob(str(model), recipe, None, reporter or Interrupting(), Cache(cache)), folder)


def test_sub_networks_and_fine_tuning_learn_from_the_manifest(folders, tmp_path):
    reporter = Interrupting()
    program = prepared(
        folders,
        tmp_path / "artifact",
        tmp_path / "cache",
        reporter,
        prune={"subnetworks": NESTED, "steps": 2, "requests": 6, "batch_size": 2},
        qat={"steps": 3, "requests": 6, "batch_size": 2},
        augment={"image": 0.5},
    )
    assert reporter.trained == 5
    assert [network.name for network in program.subnetworks] == ["full", "balanced"]
    assert program.subnetworks[1].share <= 0.9
    for name, steps in (("subnetworks", 2), ("qat", 3)):
        points = json.loads((tmp_path / "artifact" / "training" / f"{name}.json").read_text())
        assert len(points) == steps and all(np.isfinite(point["loss"]) for point in points)
    remarks = (tmp_path / "artifact" / "remarks.jsonl").read_text()
    assert "the full network and balanced fine-tuned with the program's own quantisation" in remarks
    assert not list((tmp_path / "cache" / "work").glob("*"))


def test_a_student_learns_from_the_manifest(folders, tmp_path):
    program = prepared(
        folders,
        tmp_path / "artifact",
        tmp_path / "cache",
        distill={"params": "60%", "largest_share": 0.6, "steps": 2, "batch_size": 2},
        augment={"image": 0.5, "ramp": 1.0},
    )
    record = program.program.provenance["distilled"]
    assert 0.58 < record["student"]["params"] / record["teacher"]["params"] < 0.62
    assert set(record["agreement_with_teacher"]) == {"before", "after"}
    points = json.loads((tmp_path / "artifact" / "training" / "distillation_loss.json").read_text())
    assert [sorted(point["terms"]) for point in points] == [["hidden", "logits", "task"]] * 2
