"""Samples are recorded without their zeros, written, and opened without being read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from npuc.artifact.samples import SAMPLES_NAME, Recorder, load_samples, save_samples
from npuc.errors import ArtifactError
from program.program import Answer, Array, Executor, Request
from tests.memory import private_bytes


class _Calls:
    """A runner that calls one component with given inputs."""

    def __init__(self, feeds: Sequence[Mapping[str, Array]]) -> None:
        self._feeds = feeds

    def stream(
        self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int
    ) -> Iterator[str]:
        for feed in self._feeds:
            executors["decode"](feed)
            yield ""

    def generate(self, executors: Mapping[str, Executor], request: Request, max_new_tokens: int) -> Answer:
        return Answer("".join(self.stream(executors, request, max_new_tokens)))


def _record(feeds: Sequence[Mapping[str, Array]], limit: int) -> list[Mapping[str, Array]]:
    recorder = Recorder({"decode": lambda _feeds: {}}, limit)
    recorder.run(_Calls(feeds), [Request(prompt="")], 1)
    return list(recorder.feeds["decode"])


@pytest.mark.parametrize("shape", [(), (3,), (4, 5), (1, 2, 600, 3)])
def test_a_recorded_array_is_a_copy_of_its_own(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if len(shape) > 1:
        values[..., 1, :] = 0
    given = np.array(values)
    (kept,) = _record([{"x": given}], 1)
    given[...] = 7
    assert kept["x"].dtype == np.float32
    np.testing.assert_array_equal(kept["x"], values)


def test_an_array_in_another_order_keeps_its_values() -> None:
    values = np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4))
    (kept,) = _record([{"x": values}], 1)
    np.testing.assert_array_equal(kept["x"], values)


def test_calls_beyond_the_limit_are_not_kept() -> None:
    feeds = [{"x": np.full(2, index)} for index in range(5)]
    assert [int(feed["x"][0]) for feed in _record(feeds, 3)] == [0, 1, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_unused_part_of_a_cache_takes_no_memory() -> None:
    cache = np.zeros((1, 8, 4096, 256), np.float32)  # 32 MiB, 1/64 of it used
    cache[:, :, :64] = 1
    before = private_bytes()
    kept = _record([{"past": cache}] * 4, 4)
    assert private_bytes() - before < cache.nbytes
    assert all(np.array_equal(feed["past"], cache) for feed in kept)


def test_written_samples_come_back(tmp_path: Path) -> None:
    feeds = {
        "a": [
            {"x": np.arange(6, dtype=np.float16).reshape(2, 3), "ids": np.array([1, 2])} for _ in range(12)
        ],
        "b": [{"empty": np.zeros((0, 4), np.float32), "flag": np.array(True)}],
    }
    save_samples(feeds, tmp_path)
    loaded = load_samples(tmp_path)
    assert {name: len(samples) for name, samples in loaded.items()} == {"a": 12, "b": 1}
    for name, samples in feeds.items():
        for written, read in zip(samples, loaded[name], strict=True):
            for key, array in written.items():
                assert read[key].dtype == array.dtype
                np.testing.assert_array_equal(read[key], array)


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"\x02\x00\x00\x00\x00\x00\x00\x00[]"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SAMPLES_NAME).write_bytes(content)
    with pytest.raises(ArtifactError, match=SAMPLES_NAME):
        load_samples(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=SAMPLES_NAME):
        load_samples(tmp_path)
