"""Where models come from: a Hugging Face folder, a Python factory, a .pt2 or an .onnx file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import SourceError
from exporter.sources.locate import model_path, named_folder, require_model

if TYPE_CHECKING:
    from exporter.options import CaptureOptions
    from program.program import Program

__all__ = ["open_source"]


def open_source(model: str | Path, options: CaptureOptions | None = None) -> Program:
    """Captures a model.

    Args:
        model: `demo`, a folder with config.json, `file.py:function`, a .pt2 or an .onnx file.
        options: Shapes, base type and seed.

    Returns:
        The program; its weights are still in the user's files wherever the source allows it.

    Raises:
        SourceError: There is nothing of this name, or it is unreadable or damaged.
        ExportError: The model is not supported.
    """
    from exporter.options import (
        CaptureOptions,  # imports onnx_ir, which looking a model through does not need
    )

    options = options or CaptureOptions()
    name = str(model)
    require_model(name)
    path = model_path(name)
    if options.input_shapes and path.suffix != ".onnx":
        raise SourceError(
            "the shapes of inputs can be chosen for .onnx files only",
            where=name,
            received=", ".join(options.input_shapes),
            remedy="other sources bring theirs: a factory its example inputs, a model folder the section [capture]",
        )
    file_part, separator, function = name.rpartition(":")
    if separator and file_part.endswith(".py"):
        from exporter.sources.torch_programs.python_factory import open_factory

        return open_factory(Path(file_part).expanduser(), function, options)
    if path.is_dir():
        _refuse_recorded_inputs(options, name)
        from exporter.sources.huggingface import open_folder

        program = open_folder(path, options)
        return _with_name(program, name) if named_folder(name) else program
    return _open_file(path, options)


def _refuse_recorded_inputs(options: CaptureOptions, name: str) -> None:
    if options.calibration is not None:
        raise SourceError(
            "a model folder is calibrated with requests, not with arrays",
            where=name,
            received=str(options.calibration),
            remedy="write a calibration.json into the folder: docs/guides/hugging-face-folder.md",
        )


def _with_name(program: Program, name: str) -> Program:
    """Gives a model the name users know it by, rather than that of its folder."""
    return dataclasses.replace(program, provenance={**program.provenance, "source": name})


def _open_file(path: Path, options: CaptureOptions) -> Program:
    if path.suffix == ".onnx":
        from exporter.sources.onnx_files.onnx_file import open_onnx

        return open_onnx(path, options)
    from exporter.sources.torch_programs.exported_program import open_exported_program

    return open_exported_program(path, options)
