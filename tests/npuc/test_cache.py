import pytest

from npuc.cache import Cache, content_key


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
