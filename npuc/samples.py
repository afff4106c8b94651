"""Sample inputs of every component, kept in the artifact so that `npuc verify` repeats the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from exporter.program import Executor, Feeds, Request, Runner
from npuc.errors import ArtifactError

SAMPLES_NAME = "samples.safetensors"


class Recorder:
    """Wraps executors and keeps what they were fed.

    Args:
        executors: The components.
        limit: Feeds kept for each component and request.
    """

    def __init__(self, executors: Mapping[str, Executor], limit: int) -> None:
        self._executors = executors
        self._limit = limit
        self.feeds: dict[str, list[Feeds]] = {name: [] for name in executors}

    def run(self, runner: Runner, requests: Sequence[Request], max_new_tokens: int) -> None:
        """Runs the requests and records the first `limit` feeds of each component for each of them."""
        for request in requests:
            kept = dict.fromkeys(self._executors, 0)
            wrapped = {name: self._wrap(name, kept) for name in self._executors}
            runner.generate(wrapped, request, max_new_tokens)

    def _wrap(self, name: str, kept: dict[str, int]) -> Executor:
        def call(feeds: Feeds) -> dict[str, np.ndarray]:
            if kept[name] < self._limit:
                kept[name] += 1
                self.feeds[name].append({key: np.array(value) for key, value in feeds.items()})
            return self._executors[name](feeds)

        return call


def save_samples(feeds: Mapping[str, Sequence[Feeds]], folder: Path) -> None:
    """Writes the feeds as tensors named `component/index/input`."""
    tensors = {
        f"{component}/{index}/{name}": np.ascontiguousarray(array)
        for component, samples in feeds.items()
        for index, sample in enumerate(samples)
        for name, array in sample.items()
    }
    save_file(dict(sorted(tensors.items())), folder / SAMPLES_NAME)


def load_samples(folder: Path) -> dict[str, list[Feeds]]:
    """Reads what `save_samples` wrote.

    Raises:
        ArtifactError: The file is damaged.
    """
    try:
        tensors = load_file(folder / SAMPLES_NAME)
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            "the samples cannot be read", where=str(folder / SAMPLES_NAME), received=str(error)
        ) from error
    grouped: dict[str, dict[int, dict[str, np.ndarray]]] = {}
    for key, array in tensors.items():
        component, index, name = key.split("/", 2)
        grouped.setdefault(component, {}).setdefault(int(index), {})[name] = array
    return {
        component: [samples[index] for index in sorted(samples)] for component, samples in grouped.items()
    }
