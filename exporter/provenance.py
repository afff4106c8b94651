"""Facts on where a program came from, for the artifact's manifest and bill of materials."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from typing import Any

from exporter.files.model_folder import ModelFolder

FOLDER_FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "model.safetensors.index.json",
    "calibration.json",
    "model.safetensors",
)
"""Files that npuc reads of a model folder, besides the shards that an index names."""

_PACKAGES = ("onnx", "onnx-ir", "onnxscript", "torch")


def provenance(folder: ModelFolder, weights: Iterable[str]) -> dict[str, Any]:
    """Describes a model folder.

    Args:
        folder: The folder.
        weights: Names of its weight files; each is read once for its digest.

    Returns:
        JSON-able: `source` (the folder's name), `files` (name → sha256), `versions` (package → version).
    """
    names = sorted({name for name in FOLDER_FILES if folder.has(name)} | set(weights))
    return {
        "source": folder.path.resolve().name,
        "files": {name: folder.sha256(name) for name in names},
        "versions": package_versions(),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape a captured graph."""
    return {name: importlib.metadata.version(name) for name in _PACKAGES}
