"""Asks the model as the user gave it, and keeps what it returned for as long as a compile runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.errors import ExportError
from npuc.artifact.samples import is_storable, load_samples, save_samples
from npuc.compare.source.sample_files import load_labelled, save_labelled
from npuc.compare.source.samples import Answered, Sample
from program.errors import DiagnosticError
from program.program import Array, Executor

SOURCE_FOLDER = "source"
"""Where the answers lie while a compile runs."""


def ask(original: Executor, samples: Sequence[Sample]) -> list[Answered]:
    """Runs the original of a component.

    Samples at the edge on which it fails itself, or returns NaN, are left out: an index may be none, whatever its table
    says, and what it makes of a mask that hides everything may be undefined.

    Args:
        original: The model, or its part.
        samples: What to ask.

    Raises:
        DiagnosticError: It fails on a recorded sample.
    """
    answered = []
    for sample in samples:
        try:
            outputs = original(sample.feeds)
        except DiagnosticError:
            if not sample.edge:
                raise
            continue
        if not (sample.edge and any(_has_nan(array) for array in outputs.values())):
            answered.append(Answered(sample, outputs))
    return answered


def require_same_answers(original: Executor, answered: Sequence[Answered]) -> None:
    """Asks a model once more, to tell a random or stateful one from a fault of npuc.

    Args:
        original: The model, or its part.
        answered: What it returned before.

    Raises:
        ExportError: It returns something else now.
    """
    for row in answered[:1]:
        again = original(row.sample.feeds)
        if not all(_is_same(value, again[name]) for name, value in row.outputs.items()):
            raise ExportError(
                "the model does not answer the same twice",
                received="two calls with the same inputs return different values",
                remedy="remove random numbers and state from it: an artifact has neither",
            )


def keep_answers(answered: Mapping[str, Sequence[Answered]], folder: Path) -> None:
    """Writes the answers of each component below the folder of an artifact."""
    feeds, outputs = _folders(folder)
    for destination in (feeds, outputs):
        destination.mkdir(parents=True)
    save_labelled({name: [row.sample for row in rows] for name, rows in answered.items()}, feeds)
    returned = {
        name: [{key: _storable(value) for key, value in row.outputs.items()} for row in rows]
        for name, rows in answered.items()
    }
    save_samples(returned, outputs)


def load_answers(folder: Path) -> dict[str, list[Answered]]:
    """Reads what `keep_answers` wrote; the arrays are views of the files."""
    feeds, outputs = _folders(folder)
    returned = load_samples(outputs)
    return {
        name: [Answered(*pair) for pair in zip(samples, returned.get(name, []), strict=True)]
        for name, samples in load_labelled(feeds).items()
    }


def _folders(folder: Path) -> tuple[Path, Path]:
    return folder / SOURCE_FOLDER / "feeds", folder / SOURCE_FOLDER / "outputs"


def drop_answers(folder: Path) -> None:
    """Removes what no device needs."""
    shutil.rmtree(folder / SOURCE_FOLDER, ignore_errors=True)


def _is_same(first: Array, second: Array) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f")


def _has_nan(array: Array) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _storable(array: Array) -> Array:
    """Types that a safetensors file has no name for become float32, which holds all their values."""
    return array if is_storable(array.dtype) else array.astype(np.float32)
