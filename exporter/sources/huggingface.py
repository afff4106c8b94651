"""Folders in the Hugging Face form: config.json picks the family. No code of the folder is ever run."""

from __future__ import annotations

from pathlib import Path

from exporter.errors import ExportError
from exporter.families.registry import FAMILIES
from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.program import Program


def open_folder(path: Path, options: CaptureOptions) -> Program:
    """Captures a folder.

    `auto_map` (code in the folder) is ignored: npuc has modules of its own for each family.

    Raises:
        SourceError: config.json is missing or damaged.
        ExportError: No family matches, or the family cannot capture it.
    """
    folder = ModelFolder(path)
    config = folder.config
    family = next((family for family in FAMILIES.values() if family.matches(config)), None)
    if family is None:
        supported = sorted(name for name in FAMILIES if name != "generic")
        raise ExportError(
            "the model's architecture is not supported",
            where=str(path / "config.json"),
            received=f"model_type = {str(config.get('model_type'))[:80]!r}",
            remedy=(
                f"supported: {', '.join(supported)}. Any other model can be given as file.py:function "
                "(returning a torch module and example inputs), as a .pt2 or as an .onnx file"
            ),
        )
    return family.capture(folder, options)
