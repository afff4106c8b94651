"""Writes a student as a model folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from exporter.files.checkpoint_files import INDEX_FILE, SINGLE_FILE
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint

RECORD_FILE = "distillation.json"
"""Beside the student's config.json: where the student comes from."""

_COPIED_BYTES = 64 << 20
_WEIGHT_SUFFIXES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".onnx", ".pkl", ".gguf", ".h5"})


def write_student(
    teacher: ModelFolder,
    output: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    record: Mapping[str, Any],
) -> None:
    """Writes a model folder: weights and configuration of the student, everything else as the teacher has it."""
    output.mkdir(parents=True, exist_ok=True)
    own = {*Checkpoint(teacher).files, SINGLE_FILE, INDEX_FILE, "config.json", RECORD_FILE}
    for path in sorted(teacher.path.iterdir()):
        if path.name in own or path.suffix in _WEIGHT_SUFFIXES or not path.is_file():
            continue
        source = teacher.file(path.name)
        if source.stat().st_size <= _COPIED_BYTES:
            shutil.copyfile(source, output / path.name)
    save_file(dict(tensors), output / SINGLE_FILE, metadata={"format": "pt"})
    (output / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    (output / RECORD_FILE).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
