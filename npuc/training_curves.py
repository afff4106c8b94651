"""Loss curves in an artifact: a folder with one JSON, CSV and SVG file for each training."""

from __future__ import annotations

import shutil
from pathlib import Path

from passes.training.loss_curve import LossCurve

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
