"""Loss curves in an artifact: a folder with one JSON, CSV and SVG file for each training."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from passes.learning.training.loss_curve import LossCurve

SUBNETWORKS, QAT = "subnetworks", "qat"
"""Names of the curves' files, without suffix."""

TRAINING_FOLDER = "training"
"""Of the artifact."""

_SUFFIXES = ("json", "csv", "svg")


def write_curve(curve: LossCurve, name: str, folder: Path) -> None:
    """Writes a curve.

    Args:
        curve: Of the whole training.
        name: Of its files, without suffix.
        folder: Of the artifact.
    """
    target = folder / TRAINING_FOLDER
    target.mkdir(exist_ok=True)
    curve.write(target, name)


def copy_curve(source: Path, name: str, folder: Path) -> None:
    """Copies a curve that was written before.

    Args:
        source: Folder with its files.
        name: Of its files, without suffix.
        folder: Of the artifact.
    """
    target = folder / TRAINING_FOLDER
    target.mkdir(exist_ok=True)
    for suffix in _SUFFIXES:
        shutil.copyfile(source / f"{name}.{suffix}", target / f"{name}.{suffix}")


@dataclasses.dataclass(frozen=True)
class CurveSummary:
    """A curve as the report shows it.

    Attributes:
        steps: Of the training.
        first: Mean loss of the first tenth of the steps.
        last: Of the last tenth.
        picture: SVG.
    """

    steps: int
    first: float
    last: float
    picture: str


def read_curves(folder: Path) -> dict[str, CurveSummary]:
    """Reads the curves that were written or copied into an artifact, by name.

    Args:
        folder: Of the artifact.
    """
    return {path.stem: _read(path) for path in sorted((folder / TRAINING_FOLDER).glob("*.json"))}


def _read(path: Path) -> CurveSummary:
    curve = LossCurve.from_json(json.loads(path.read_text("utf-8")))
    steps = len(curve.points)
    tenth = max(1, steps // 10)
    return CurveSummary(
        steps,
        curve.mean(1, tenth),
        curve.mean(steps - tenth + 1, steps),
        path.with_suffix(".svg").read_text("utf-8"),
    )
