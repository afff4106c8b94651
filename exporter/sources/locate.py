"""Where models lie."""

from __future__ import annotations

import functools
from importlib.metadata import entry_points
from pathlib import Path

from exporter.errors import SourceError
from program.offers import call_offer

ENTRY_POINT_GROUP = "npuc.models"
"""An entry point of this group names a function without arguments that returns the folder of a model of its name."""

_KINDS = "a model folder with config.json, file.py:function, a .pt2 file, an .onnx file, or demo"


@functools.cache
def named_folder(model: str) -> Path | None:
    """Returns the folder of a model that an installed package brings along, such as npuc's own `demo`; else None.

    Raises:
        SourceError: The package cannot be loaded.
    """
    if Path(model).name != model or Path(model).suffix:
        return None
    offers = list(entry_points(group=ENTRY_POINT_GROUP, name=model))
    if not offers:
        return None
    # no other package takes over what npuc brings along
    found = next(
        (entry for entry in offers if entry.dist is not None and entry.dist.name == "npuc"), offers[0]
    )
    return Path(call_offer(found, "this model", SourceError))


def model_path(model: str) -> Path:
    """Returns where a model lies that a user named: a model by name, or a file or folder, which need not exist."""
    return named_folder(model) or Path(model).expanduser()


def require_text(name: str) -> None:
    """Checks that a path can be written into messages and manifests.

    Raises:
        SourceError: It has bytes that are no UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(
            "the name of a file is not text", received=ascii(name)[:200], remedy="rename it: UTF-8 only"
        ) from error


def require_model(model: str) -> None:
    """Checks that there is something of a name that may be a model, without reading it.

    Raises:
        SourceError: There is not, or it is empty or of a kind that npuc does not read.
    """
    require_text(model)
    path = model_path(model)
    file, separator, _function = model.rpartition(":")
    if separator and file.endswith(".py"):
        return
    try:
        _require_readable(path, model)
    except OSError as error:
        raise SourceError(
            "the model cannot be read", where=model[:200], received=error.strerror or str(error)
        ) from error


def _require_readable(path: Path, model: str) -> None:
    if path.is_dir():
        return
    if not path.is_file():
        raise SourceError("the model does not exist", received=model, remedy=f"name {_KINDS}")
    if path.suffix not in (".onnx", ".pt2"):
        remedy = f"name its function: {path}:build" if path.suffix == ".py" else f"name {_KINDS}"
        raise SourceError("the file is not of a kind that npuc reads", received=str(path), remedy=remedy)
    if path.stat().st_size == 0:
        raise SourceError("the model file is empty", where=str(path), remedy="export or copy it again")
