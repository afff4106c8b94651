import errno
import os
import shutil

import pytest

from npuc.artifact.output_folder import atomic_folder
from npuc.caching.cache import Cache, content_key
from npuc.errors import ResourceError


def _build(calls, text="made"):
    def build(folder):
        calls.append(1)
        (folder / "sub").mkdir()
        (folder / "sub" / "a.bin").write_text(text)
        return {"kernels": 3}

    return build


def test_second_fetch_does_not_build(tmp_path):
    cache, calls = Cache(tmp_path / "cache"), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert cache.fetch("k" * 64, tmp_path / name, _build(calls)) == {"kernels": 3}
        assert (tmp_path / name / "sub" / "a.bin").read_text() == "made"
    assert len(calls) == 1


def test_damaged_entry_is_built_again(tmp_path):
    cache, calls = Cache(tmp_path / "cache"), []
    (tmp_path / "out").mkdir()
    cache.fetch("k", tmp_path / "out", _build(calls))
    (tmp_path / "cache" / "steps" / "k" / "files" / "sub" / "a.bin").write_text("tampered")
    cache.fetch("k", tmp_path / "out", _build(calls))
    assert len(calls) == 2
    assert (tmp_path / "out" / "sub" / "a.bin").read_text() == "made"


def test_interrupted_build_leaves_no_entry(tmp_path):
    cache, calls = Cache(tmp_path / "cache"), []
    (tmp_path / "out").mkdir()

    def interrupted(folder):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch("k", tmp_path / "out", interrupted)
    assert list((tmp_path / "cache" / "steps").iterdir()) == []
    cache.fetch("k", tmp_path / "out", _build(calls))
    assert not (tmp_path / "out" / "half").exists()


def test_key_depends_on_content_and_on_where_parts_end():
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key(b"x") != content_key(b"y")


def test_an_entry_that_another_process_finished_meanwhile_stays_for_its_reader(tmp_path):
    cache, calls = Cache(tmp_path / "cache"), []
    (tmp_path / "out").mkdir()

    def overtaken(folder):
        cache.keep("k", _build(calls, "theirs"))
        return _build(calls, "ours")(folder)

    cache.fetch("k", tmp_path / "out", overtaken)
    assert (tmp_path / "out" / "sub" / "a.bin").read_text() == "theirs"
    assert [path.name for path in (tmp_path / "cache" / "steps").iterdir()] == ["k"]


def test_a_full_disk_while_files_are_copied_is_one_line(tmp_path, monkeypatch):
    cache = Cache(tmp_path / "cache")
    cache.keep("k", _build([]))

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))

    monkeypatch.setattr(shutil, "copy2", full)
    out = tmp_path / "out"
    with pytest.raises(ResourceError) as caught, atomic_folder(out) as folder:
        cache.fetch("k", folder, _build([]))
    assert caught.value.what == "the disk is full; nothing was written"
    assert caught.value.where == str(out)
    assert not out.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch, number):
    cache = Cache(tmp_path / "cache")

    def refused(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("npuc.caching.cache.tempfile.mkdtemp", refused)
    with pytest.raises(ResourceError, match=r"the disk is full|cannot write the cache: Read-only") as caught:
        cache.keep("k", _build([]))
    assert caught.value.exit_code == 4
    assert caught.value.where == str(tmp_path / "cache")
    assert "NPUC_CACHE" in caught.value.remedy


def test_a_file_outside_the_cache_is_not_the_caches_fault(tmp_path):
    def build(_folder):
        return (tmp_path / "none").read_text()

    with pytest.raises(FileNotFoundError):
        Cache(tmp_path / "cache").keep("k", build)
