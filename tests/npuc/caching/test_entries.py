import os
import time

import pytest

from npuc.caching.cache import BUILDING, Cache
from npuc.caching.entries import EntryKind, cache_entries, remove_entries


@pytest.fixture
def folder(tmp_path):
    """A step of 3 bytes used now, unfinished work, a step without its record, and what a dead process left."""
    cache = Cache(tmp_path)
    cache.keep("a" * 64, lambda files: {"n": (files / "x").write_text("abc")})
    work = cache.work_folder("b" * 64)
    work.mkdir(parents=True)
    (work / "step-1").write_text("abcde")
    (tmp_path / "steps" / ("c" * 64)).mkdir()
    left = tmp_path / "steps" / f"{BUILDING}x1"
    left.mkdir()
    for path in (left, work / "step-1", work):
        before = time.time() - 40 * 86400
        os.utime(path, (before, before))
    return tmp_path


def test_what_there_is(folder):
    kinds = [entry.kind for entry in cache_entries(folder)]
    assert sorted(kinds) == ["abandoned", "abandoned", "finished step", "unfinished work"]
    by_kind = {entry.kind: entry for entry in cache_entries(folder)}
    assert by_kind[EntryKind.STEP].idle_days < 1
    assert by_kind[EntryKind.WORK].nbytes == 5 and 39 < by_kind[EntryKind.WORK].idle_days < 41
    assert cache_entries(folder / "absent") == ()


def test_an_entry_that_is_used_again_is_new_again(folder):
    done = folder / "steps" / ("a" * 64) / "done.json"
    os.utime(done, (0, 0))
    Cache(folder).keep("a" * 64, lambda _: pytest.fail("it is there"))
    assert time.time() - done.stat().st_mtime < 60


def test_what_a_dead_process_left_goes_when_the_next_entry_is_made(folder):
    Cache(folder).keep("d" * 64, lambda _: {})
    assert not list((folder / "steps").glob(f"{BUILDING}*"))


def test_what_is_being_made_is_not_removed(tmp_path):
    def build(_files):
        (entry,) = cache_entries(tmp_path)
        assert entry.kind is EntryKind.BUILDING
        assert remove_entries([entry]) == 0
        return {}

    Cache(tmp_path).keep("a" * 64, build)
    assert [entry.kind for entry in cache_entries(tmp_path)] == [EntryKind.STEP]


def test_the_commands(npuc, folder, monkeypatch):
    monkeypatch.setenv("NPUC_CACHE", str(folder))
    (folder / "tools" / "vendor").mkdir(parents=True)
    listed = npuc("cache", "list")
    assert listed.code == 0 and "aaaaaaaaaaaa" in listed.out and "4 entries" in listed.out
    pruned = npuc("cache", "prune")
    assert "3 entries removed" in pruned.out
    assert [entry.kind for entry in cache_entries(folder)] == [EntryKind.STEP]
    assert "1 entry removed" in npuc("cache", "clear").out
    assert "0 entries" in npuc("cache", "list").out
    assert (folder / "tools" / "vendor").exists()
