"""Asks the model as the user gave it, and keeps what it returned for as long as a compile runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.errors import DiagnosticError
from exporter.program import Array, Executor
from npuc.compare.samples import Answered, Sample
from npuc.samples import is_storable, load_samples, save_samples

SOURCE_FOLDER = "source"
"""Where the answers lie while a compile runs."""

_KINDS_NAME = "kinds.json"


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
    destination = folder / SOURCE_FOLDER
    for part in ("feeds", "outputs"):
        (destination / part).mkdir(parents=True)
    save_samples(
        {name: [row.sample.feeds for row in rows] for name, rows in answered.items()}, destination / "feeds"
    )
    outputs = {
        name: [{key: _storable(value) for key, value in row.outputs.items()} for row in rows]
        for name, rows in answered.items()
    }
    save_samples(outputs, destination / "outputs")
    kinds = {name: [(row.sample.edge, row.sample.usual) for row in rows] for name, rows in answered.items()}
    (destination / _KINDS_NAME).write_text(json.dumps(kinds), "utf-8")


def load_answers(folder: Path) -> dict[str, list[Answered]]:
    """Reads what `keep_answers` wrote; the arrays are views of the files."""
    source = folder / SOURCE_FOLDER
    feeds, outputs = load_samples(source / "feeds"), load_samples(source / "outputs")
    return {
        name: [
            Answered(Sample(given, edge, usual), returned)
            for given, returned, (edge, usual) in zip(feeds[name], outputs[name], kinds, strict=True)
        ]
        for name, kinds in json.loads((source / _KINDS_NAME).read_text("utf-8")).items()
        if kinds
    }


def drop_answers(folder: Path) -> None:
    """Removes what no device needs."""
    shutil.rmtree(folder / SOURCE_FOLDER, ignore_errors=True)


def _storable(array: Array) -> Array:
    """Types that a safetensors file has no name for become float32, which holds all their values."""
    return array if is_storable(array.dtype) else array.astype(np.float32)
