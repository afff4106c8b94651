"""Asks the model as the user gave it, and keeps what it returned for as long as a compile runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.errors import DiagnosticError
from exporter.program import Array, Executor
from npuc.compare.sample_files import load_labelled, save_labelled
from npuc.compare.samples import Answered, Sample
from npuc.samples import is_storable, load_samples, save_samples

SOURCE_FOLDER = "source"
"""Where the answers lie while a compile runs."""


def ask(original: Executor, samples: Sequence[Sample]) -> list[Answered]:
    """Runs the original of a component.

    Samples at the edge on which it fails itself are left out: an index may be none, whatever its table says.

    Args:
        original: The model, or its part.
        samples: What to ask.

    Raises:
        DiagnosticError: It fails on a recorded sample.
    """
    answered = []
    for sample in samples:
        try:
            answered.append(Answered(sample, original(sample.feeds)))
        except DiagnosticError:
            if not sample.edge:
                raise
    return answered


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


def _storable(array: Array) -> Array:
    """Types that a safetensors file has no name for become float32, which holds all their values."""
    return array if is_storable(array.dtype) else array.astype(np.float32)
