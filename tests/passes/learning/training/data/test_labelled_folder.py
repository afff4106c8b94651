import pytest

from passes.learning.training.data.labelled_folder import read_labelled_folder
from passes.learning.training.errors import TrainingError


def test_files_of_one_stem_are_one_entry(tmp_path):
    for label, name in (
        ("cat", "1.png"),
        ("cat", "1.wav"),
        ("cat", "2.JPG"),
        ("dog", "1.png"),
        ("dog", "notes.md"),
    ):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / name).write_bytes(b"x")
    (tmp_path / "cat" / "1.txt").write_text("a cat\n")
    samples = read_labelled_folder(tmp_path)
    found = [(s.label, s.image is not None, s.audio is not None, s.text) for s in samples]
    assert found == [("cat", True, True, "a cat"), ("cat", True, False, None), ("dog", True, False, None)]


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    (tmp_path / "data" / "cat").mkdir(parents=True)
    (tmp_path / "data" / "cat" / "1.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(TrainingError, match="out of its folder"):
        read_labelled_folder(tmp_path / "data")


def test_a_linked_class_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1.png").write_bytes(b"x")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cat").symlink_to(tmp_path / "other")
    with pytest.raises(TrainingError, match="out of its folder"):
        read_labelled_folder(tmp_path / "data")


def test_an_empty_folder_and_a_broken_text_are_refused(tmp_path):
    with pytest.raises(TrainingError):
        read_labelled_folder(tmp_path)
    with pytest.raises(TrainingError):
        read_labelled_folder(tmp_path / "missing")
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrainingError, match="text"):
        read_labelled_folder(tmp_path)
