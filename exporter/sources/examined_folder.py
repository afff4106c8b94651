"""Looks through a model folder; runs in a child process, and imports only what parsing needs."""

from __future__ import annotations

import importlib
from pathlib import Path

from exporter.errors import ExportError
from exporter.files.checkpoint_files import read_checkpoint
from exporter.files.model_folder import ModelFolder
from exporter.provenance import FOLDER_FILES

_FAMILIES = {name: f"exporter.families.{name}.examine" for name in ("qwen3_vl", "multimodal_transformer")}
"""model_type of config.json → module that looks through the rest."""

_OBJECTS = {
    "generation_config.json", "preprocessor_config.json", "tokenizer_config.json", "chat_template.json",
    "calibration.json",
}  # fmt: skip


def examine_folder(_content: bytes, path: str) -> dict[str, int]:
    """Checks every file that npuc reads of a folder.

    Returns:
        Bytes of all `weights`, and of the `largest` tensor.

    Raises:
        SourceError: A file is damaged, missing, outside the folder, or not a regular one.
        ExportError: The architecture is not supported, or the files do not fit together.
    """
    folder = ModelFolder(Path(path))
    family = folder.config.get("model_type")
    if not isinstance(family, str) or family not in _FAMILIES:
        raise unsupported_family(folder, sorted(_FAMILIES))
    for name in FOLDER_FILES:
        if folder.has(name) and name in _OBJECTS:
            folder.read_json(name)
    checkpoint = read_checkpoint(folder)
    importlib.import_module(_FAMILIES[family]).examine(folder, checkpoint)
    sizes = [tensor.nbytes for tensor in checkpoint.tensors.values()]
    return {"weights": sum(sizes), "largest": max(sizes, default=0)}


def unsupported_family(folder: ModelFolder, supported: list[str]) -> ExportError:
    """No family has the folder's model_type."""
    return ExportError(
        "the model's architecture is not supported",
        where=str(folder.path / "config.json"),
        received=f"model_type = {str(folder.config.get('model_type'))[:80]!r}",
        remedy=(
            f"supported: {', '.join(supported)}. Any other model can be given as file.py:function "
            "(returning a torch module and example inputs), as a .pt2 or as an .onnx file"
        ),
    )
