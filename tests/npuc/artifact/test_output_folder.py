import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from npuc.artifact.output_folder import atomic_folder
from npuc.errors import ResourceError, UsageError


def test_appears_whole_under_its_name(tmp_path):
    out = tmp_path / "deep" / "out"
    with atomic_folder(out) as folder:
        (folder / "manifest.json").write_text("{}")
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_leaves_nothing_when_interrupted(tmp_path, error):
    with pytest.raises(error), atomic_folder(tmp_path / "out") as folder:
        (folder / "half").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_keeps_the_old_artifact_when_interrupted(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(out):
        raise KeyboardInterrupt
    assert (out / "manifest.json").read_text() == "old"


def test_replaces_an_artifact(tmp_path):
    out = tmp_path / "out"
    for text in ("old", "new"):
        with atomic_folder(out) as folder:
            (folder / "manifest.json").write_text(text)
    assert (out / "manifest.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_never_overwrites_what_is_no_artifact(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not an artifact") as caught, atomic_folder(out):
        pass
    assert caught.value.exit_code == 2
    assert (out / "thesis.txt").exists()


def test_full_disk_is_named(tmp_path):
    with pytest.raises(ResourceError, match="disk is full") as caught, atomic_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_leftover_of_a_killed_run_is_removed(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = tmp_path / f".out.npuc-partial-{dead.pid}"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    with atomic_folder(tmp_path / "out"):
        assert not leftover.exists()


def _dead_process():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    return dead.pid


def test_leftovers_of_another_output_in_the_same_folder_are_removed(tmp_path):
    leftover = tmp_path / f".other.npuc-partial-{_dead_process()}"
    leftover.mkdir()
    with atomic_folder(tmp_path / "out"):
        assert not leftover.exists()


def test_what_a_running_process_makes_stays(tmp_path):
    with atomic_folder(tmp_path / "one") as first:
        (first / "manifest.json").write_text("{}")
        with atomic_folder(tmp_path / "two"):
            assert first.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_an_artifact_whose_replacement_was_cut_short_comes_back(tmp_path):
    old = tmp_path / f".out.npuc-partial-{_dead_process()}-old"
    old.mkdir()
    (old / "manifest.json").write_text("old")
    with atomic_folder(tmp_path / "other"):
        pass
    assert (tmp_path / "out" / "manifest.json").read_text() == "old"


def test_folders_of_other_programs_stay(tmp_path):
    for name in (".out.npuc-partial-", ".out.npuc-partial-1x", ".npuc-partial-1", "out.npuc-partial-999999"):
        (tmp_path / name).mkdir()
    with atomic_folder(tmp_path / "new"):
        assert len(list(tmp_path.iterdir())) == 5


def test_an_artifact_that_another_process_finished_meanwhile_is_replaced(tmp_path):
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "manifest.json").write_text("ours")
        out.mkdir()
        (out / "manifest.json").write_text("theirs")
    assert (out / "manifest.json").read_text() == "ours"
    assert list(tmp_path.iterdir()) == [out]


def test_an_artifact_that_appears_between_two_renames_is_replaced(tmp_path, monkeypatch):
    out = tmp_path / "out"
    rename, seen = Path.rename, []

    def raced(path, target):
        if target == out and not seen:
            seen.append(path)
            out.mkdir()
            (out / "manifest.json").write_text("theirs")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", raced)
    with atomic_folder(out) as folder:
        (folder / "manifest.json").write_text("ours")
    assert seen
    assert (out / "manifest.json").read_text() == "ours"
    assert list(tmp_path.iterdir()) == [out]


def test_a_failed_copy_names_what_was_written(tmp_path):
    with (
        pytest.raises(ResourceError, match="cannot write the output") as caught,
        atomic_folder(tmp_path / "out"),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "source", None, "target")
    assert caught.value.where == "target"
