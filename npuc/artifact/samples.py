"""Sample inputs of every component, kept in the artifact so that `npuc verify` repeats the comparison."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from exporter.errors import SourceError
from exporter.files.safetensors_header import StoredTensor, read_header
from npuc.errors import ArtifactError
from program.program import Array, Executor, Feeds, Request, Runner

SAMPLES_NAME = "samples.safetensors"

_DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "F16": np.float16,
    "I32": np.int32, "F32": np.float32, "I64": np.int64, "F64": np.float64,
}  # fmt: skip
"""Element types of graph inputs by their safetensors names."""


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
                self.feeds[name].append({key: _copy(value) for key, value in feeds.items()})
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


def is_storable(dtype: np.dtype[Any]) -> bool:
    """Tells whether samples may have an element type."""
    return dtype.type in _DTYPES.values()


def load_samples(folder: Path) -> dict[str, list[Feeds]]:
    """Opens what `save_samples` wrote; the arrays are read-only views of the file.

    Raises:
        ArtifactError: The file is damaged.
    """
    path = folder / SAMPLES_NAME
    try:
        tensors = {name: _view(stored) for name, stored in read_header(path).items()}
        grouped: dict[str, dict[int, dict[str, np.ndarray]]] = {}
        for key, array in tensors.items():
            component, index, name = key.split("/", 2)
            grouped.setdefault(component, {}).setdefault(int(index), {})[name] = array
    except (OSError, SourceError, KeyError, ValueError) as error:
        raise ArtifactError(
            "the samples cannot be read", where=str(path), received=str(error)[:300]
        ) from error
    return {
        component: [samples[index] for index in sorted(samples)] for component, samples in grouped.items()
    }


def _copy(values: Array) -> Array:
    """Copies an array without its rows of zeros: the unused part of a KV cache then takes no memory."""
    if values.ndim < 2 or values.nbytes < mmap.PAGESIZE:
        return np.array(values)
    # pages of a map are backed with memory when they are written to; numpy's own zeros may come in huge pages
    copy: Array = np.frombuffer(mmap.mmap(-1, values.nbytes), values.dtype).reshape(values.shape)
    rows, filled = values.reshape(-1, values.shape[-1]), copy.reshape(-1, values.shape[-1])
    used = rows.any(axis=1)
    filled[used] = rows[used]
    return copy


def _view(stored: StoredTensor) -> Array:
    if not stored.nbytes:
        return np.zeros(stored.shape, _DTYPES[stored.dtype])
    return np.memmap(stored.path, _DTYPES[stored.dtype], "r", stored.offset, stored.shape)
