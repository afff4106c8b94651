import json

import pytest

from npuc.artifact.training_curves import copy_curve, read_curves, write_curve
from passes.learning.training.loss_curve import LossCurve, LossPoint


@pytest.fixture
def curve():
    points = (LossPoint(step, 2.0 / step, {"logits": 2.0 / step}, 1e-3, 1.0) for step in (1, 2))
    return LossCurve(tuple(points))


def test_several_curves_share_the_folder(curve, tmp_path):
    write_curve(curve, "qat", tmp_path)
    write_curve(curve, "subnetworks", tmp_path)
    files = sorted(path.name for path in (tmp_path / "training").iterdir())
    assert files == [
        f"{name}.{suffix}" for name in ("qat", "subnetworks") for suffix in ("csv", "json", "svg")
    ]
    assert LossCurve.from_json(json.loads((tmp_path / "training" / "qat.json").read_text())) == curve
    read = read_curves(tmp_path)
    assert list(read) == ["qat", "subnetworks"]
    assert (read["qat"].steps, read["qat"].first, read["qat"].last) == (2, 2.0, 1.0)
    assert read["qat"].picture.startswith("<svg")


def test_a_curve_is_copied_without_its_neighbours(curve, tmp_path):
    source, artifact = tmp_path / "student", tmp_path / "artifact"
    source.mkdir()
    artifact.mkdir()
    curve.write(source, "loss")
    (source / "model.safetensors").write_bytes(b"weights")
    copy_curve(source, "loss", artifact)
    copied = artifact / "training"
    assert sorted(path.name for path in copied.iterdir()) == ["loss.csv", "loss.json", "loss.svg"]
    assert (copied / "loss.svg").read_bytes() == (source / "loss.svg").read_bytes()
