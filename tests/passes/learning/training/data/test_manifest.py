import json

import pytest

from passes.learning.training.data.manifest import Manifest
from passes.learning.training.errors import TrainingError


def write(folder, *lines):
    path = folder / "train.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_entries_are_read_by_index_and_files_resolved(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(b"x")
    path = write(
        tmp_path,
        {"image": "pictures/a.png", "text": "what is it?", "answer": "42", "label": 7},
        "",
        {"text": "häuser"},
    )
    manifest = Manifest(path)
    assert len(manifest) == 2
    first = manifest[0]
    assert first.image == (tmp_path / "pictures" / "a.png").resolve()
    assert (first.text, first.answer, first.label, first.audio) == ("what is it?", "42", "7", None)
    assert manifest[-1].text == "häuser"
    assert [sample.text for sample in manifest[:]] == ["what is it?", "häuser"]


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "link.png", "missing.png", "..\\secret.png"]
)
def test_a_file_outside_the_folder_is_refused(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(TrainingError) as caught:
        Manifest(write(folder, {"text": "fine"}, {"image": name}))
    assert "line 2" in caught.value.where
    assert repr(name) in caught.value.received


def test_an_unknown_key_is_named(tmp_path):
    with pytest.raises(TrainingError, match="unknown key question") as caught:
        Manifest(write(tmp_path, {"question": "what is it?", "text": "x"}))
    assert "image, audio, text, answer, label" in caught.value.remedy


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[1]",
        {"image": 3},
        {"answer": "only"},
        {"text": ""},
        {"text": "a", "colour": "b"},
        '{"text": "' + "x" * (1 << 20) + '"}',
        "[" * 100_000,
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path, line):
    with pytest.raises(TrainingError) as caught:
        Manifest(write(tmp_path, {"text": "fine"}, line))
    assert "line 2" in caught.value.where


def test_a_missing_and_an_empty_manifest_are_refused(tmp_path):
    with pytest.raises(TrainingError):
        Manifest(tmp_path / "none.jsonl")
    with pytest.raises(TrainingError):
        Manifest(tmp_path / "none" / "none.jsonl")
    with pytest.raises(TrainingError, match="no entries"):
        Manifest(write(tmp_path, ""))
    with pytest.raises(TrainingError, match="not a file"):
        Manifest(tmp_path)
