"""What an artifact answered in tensors: a line for each, and files on request."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np

from npuc.errors import UsageError
from program.model_names import file_name, one_line
from program.program import Array


def report_tensors(tensors: Mapping[str, Array], save: Path | None) -> None:
    """Prints type, shape and range of each tensor.

    Args:
        tensors: By name.
        save: Folder for one .npy file a tensor, or None.
    """
    for name, array in sorted(tensors.items()):
        wide = np.asarray(array, np.float64)
        click.echo(
            f"{one_line(name)}: {array.dtype} {list(array.shape)}  min {wide.min():.6g}  mean {wide.mean():.6g}"
            f"  max {wide.max():.6g}"
        )
        if save is not None:
            path = save / f"{file_name(name)}.npy"
            try:
                save.mkdir(parents=True, exist_ok=True)
                np.save(path, array)
            except OSError as error:
                raise UsageError(
                    "cannot save the tensors",
                    where=str(save),
                    received=error.strerror or str(error),
                    remedy="name a folder that can be written to with --save",
                ) from error
            if path.stem != name:
                click.echo(f"  saved as {path.name}")
