"""Samples on disk: the inputs, and beside them what is special about each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from npuc.artifact.samples import load_samples, save_samples
from npuc.compare.source.samples import Sample
from npuc.errors import ArtifactError

KINDS_NAME = "samples.json"
"""Component → for each sample what is special about it, and whether its values are of the usual size."""

_KINDS = TypeAdapter(dict[str, list[tuple[str, bool]]])


def save_labelled(samples: Mapping[str, Sequence[Sample]], folder: Path) -> None:
    """Writes `samples.safetensors` and `samples.json`."""
    save_samples({name: [sample.feeds for sample in rows] for name, rows in samples.items()}, folder)
    kinds = {name: [(sample.edge, sample.usual) for sample in rows] for name, rows in samples.items()}
    (folder / KINDS_NAME).write_text(json.dumps(kinds, indent=1, sort_keys=True) + "\n", "utf-8")


def load_labelled(folder: Path) -> dict[str, list[Sample]]:
    """Opens what `save_labelled` wrote; the arrays are views of the file.

    Raises:
        ArtifactError: A file is damaged, or they do not belong together.
    """
    path = folder / KINDS_NAME
    feeds = load_samples(folder)
    try:
        kinds = _KINDS.validate_json(path.read_bytes())
        return {
            name: [Sample(given, *kind) for given, kind in zip(feeds.get(name, []), rows, strict=True)]
            for name, rows in kinds.items()
        }
    except (OSError, ValidationError, ValueError) as error:
        raise ArtifactError(
            "the samples cannot be read", where=str(path), received=str(error)[:200], remedy="compile again"
        ) from error
