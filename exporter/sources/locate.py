"""Where models lie."""

from __future__ import annotations

from pathlib import Path

from exporter.errors import SourceError

DEMO = "demo"
"""Name of the small trained model that comes with npuc."""

_KINDS = "a model folder with config.json, file.py:function, a .pt2 file, an .onnx file, or demo"


def demo_folder() -> Path:
    """Returns the folder of the bundled model."""
    return Path(__file__).parents[1] / "reference_model" / "assets"


def model_path(model: str) -> Path:
    """Returns where a model lies that a user named: `demo`, or a file or folder, which need not exist."""
    return demo_folder() if model == DEMO else Path(model).expanduser()


def require_model(model: str) -> None:
    """Checks that there is something of a name that may be a model, without reading it.

    Raises:
        SourceError: There is not, or it is empty or of a kind that npuc does not read.
    """
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
