"""Folders in the Hugging Face form: config.json picks the family. No code of the folder is ever run."""

from __future__ import annotations

from pathlib import Path

from exporter.families.registry import FAMILIES
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.sources.examine import examine_source
from exporter.sources.examined_folder import unsupported_family
from program.program import Program


def open_folder(path: Path, options: CaptureOptions) -> Program:
    """Captures a folder.

    `auto_map` (code in the folder) is ignored: npuc has modules of its own for each family.

    Raises:
        SourceError: config.json is missing or damaged.
        ExportError: No family matches, or the family cannot capture it.
    """
    examine_source(str(path))
    folder = ModelFolder(path)
    config = folder.config
    family = next((family for family in FAMILIES.values() if family.matches(config)), None)
    if family is None:
        raise unsupported_family(folder, sorted(name for name in FAMILIES if name != "generic"))
    return family.capture(folder, options)
