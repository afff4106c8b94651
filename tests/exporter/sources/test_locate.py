from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.sources.locate import model_path, require_model
from npuc.demo import demo_folder


def test_demo_is_the_bundled_folder():
    assert model_path("demo") == demo_folder()
    assert (demo_folder() / "config.json").is_file()


def test_anything_else_is_a_path_of_the_user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert model_path("~/models/vl") == Path("/home/someone/models/vl")
    assert model_path("models/demo") == Path("models/demo")


@pytest.mark.parametrize("model", ["demo", "anything.py:build", "full.onnx", "full.pt2"])
def test_what_may_be_a_model_passes(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.onnx").write_bytes(b"1")
    (tmp_path / "full.pt2").write_bytes(b"1")
    require_model(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.onnx", "does not exist"),
        ("empty.onnx", "is empty"),
        ("empty.pt2", "is empty"),
        ("code.py", "next:     name its function: code.py:build"),
        ("weights.bin", "not of a kind"),
        ("n" * 5000, "cannot be read"),
    ],
)
def test_what_cannot_be_a_model_is_refused_by_its_name(model, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("empty.onnx", "empty.pt2", "code.py", "weights.bin"):
        (tmp_path / name).touch()
    with pytest.raises(SourceError, match=message):
        require_model(model)
