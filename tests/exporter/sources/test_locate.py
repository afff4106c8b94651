from pathlib import Path

from exporter.sources.locate import demo_folder, model_path


def test_demo_is_the_bundled_folder():
    assert model_path("demo") == demo_folder()
    assert (demo_folder() / "config.json").is_file()


def test_anything_else_is_a_path_of_the_user(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert model_path("~/models/vl") == Path("/home/someone/models/vl")
    assert model_path("models/demo") == Path("models/demo")
