""".pt2 files (`torch.export.save`), read only where that cannot run code.

`torch.export.load` unpickles without restriction: weights marked `use_pickle`, custom objects, legacy weight files,
and sample inputs that a restricted load refuses; it also evaluates symbolic sizes as expressions and resolves operator
names to any attribute of torch. So the archive is inspected first, and refused if it holds anything but plain
tensors, static sizes and aten operators. Ordinary files made by `torch.export.save` of a static model pass.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from exporter.capture import Capture, capture_program
from exporter.errors import ExportError, SourceError
from exporter.families.generic.program import COMPONENT, generic_program, guess_modality
from exporter.options import CaptureOptions
from exporter.program import Program, Role
from exporter.shorten import shorten
from exporter.sources.python_factory import bind_tensors, tensor_spec
from exporter.sources.torch_original import torch_original

MAX_JSON_BYTES = 256 << 20

_ENTRIES = re.compile(
    r"models/model\.json|data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
    r"|archive_format|archive_version|byteorder|version|\.data/(version|serialization_id)|extra/.*"
)
_OPERATORS = re.compile(r"torch\.ops\.(aten|prims)\.\w+(\.\w+)?|_operator\.getitem")


def open_exported_program(path: Path, options: CaptureOptions) -> Program:
    """Captures a .pt2 file, in the element type it was exported in.

    Raises:
        SourceError: It is not a .pt2 archive, or reading it might run code.
        ExportError: Its sizes are dynamic, or an operator has no ONNX form.
    """
    inspect_archive(path)
    try:
        exported = torch.export.load(path)
    except Exception as error:  # torch raises many unrelated classes for a damaged archive
        raise SourceError("the .pt2 file cannot be read", where=str(path), received=shorten(error)) from error
    example = _example(exported, path)
    specs = tuple(tensor_spec(name, tensor) for name, tensor in example.items())
    what = Capture(COMPONENT, Role.MODEL, guess_modality(specs), specs, ())
    weights: dict[str, torch.Tensor] = dict(exported.named_parameters())
    _check_types(weights, path)
    component = capture_program(exported, what, bind_tensors(weights))
    # guards are expressions that torch would evaluate; shapes are static, so that there is nothing to guard
    original = torch_original(
        lambda: exported.module(check_guards=False), component, tuple(example.values()), _keywords(exported)
    )
    return generic_program(
        component, path, options, original, {name: tensor.numpy() for name, tensor in example.items()}
    )


def inspect_archive(path: Path) -> None:
    """Checks that loading the archive cannot run code.

    Raises:
        SourceError: It might, or it is not an archive.
        ExportError: It has symbolic sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                _check_entry(path, entry)
            for entry in archive.infolist():
                _check_content(path, _inner_name(entry), archive.read(entry))
    except (zipfile.BadZipFile, OSError, ValueError, RecursionError, KeyError) as error:
        raise SourceError("the .pt2 file is damaged", where=str(path), received=shorten(error)) from error


def _inner_name(entry: zipfile.ZipInfo) -> str:
    """Without the archive's own top folder."""
    return entry.filename.partition("/")[2]


def _check_entry(path: Path, entry: zipfile.ZipInfo) -> None:
    # stored entries cannot be larger than the file, so that nothing is unpacked from a bomb
    if entry.compress_type != zipfile.ZIP_STORED or not _ENTRIES.fullmatch(_inner_name(entry)):
        raise _refuse(path, f"entry {entry.filename[:120]!r}")
    if entry.filename.endswith(".json") and entry.file_size > MAX_JSON_BYTES:
        raise _refuse(path, f"{entry.filename} of {entry.file_size} bytes")


def _check_content(path: Path, name: str, data: bytes) -> None:
    if name == "data/sample_inputs/model.pt":
        try:
            torch.load(io.BytesIO(data), weights_only=True)
        except Exception as error:
            raise _refuse(path, f"sample inputs that are not plain tensors: {shorten(error, 120)}") from error
    if not name.endswith(".json"):
        return
    for item in _objects(json.loads(data)):
        if item.get("use_pickle"):
            raise _refuse(path, f"a pickled tensor in {name}")
        if "expr_str" in item:
            raise ExportError(
                "the exported program has dynamic sizes",
                where=str(path),
                received=str(item["expr_str"])[:80],
                remedy="export it with fixed example inputs and no dynamic_shapes",
            )
        target = item.get("target")
        if (
            "inputs" in item
            and "outputs" in item
            and isinstance(target, str)
            and not _OPERATORS.fullmatch(target)
        ):
            raise _refuse(path, f"operator {target[:120]}")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def _refuse(path: Path, received: str) -> SourceError:
    return SourceError(
        "the .pt2 file holds what might run code when it is read; npuc does not read it",
        where=str(path),
        received=received,
        remedy="export a module of plain tensors and aten operators, or give npuc file.py:function",
    )


def _example(exported: torch.export.ExportedProgram, path: Path) -> dict[str, torch.Tensor]:
    args, kwargs = exported.example_inputs if exported.example_inputs is not None else ((), {})
    names = exported.graph_signature.user_inputs
    tensors = [*args, *kwargs.values()]
    if len(tensors) != len(names) or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise ExportError(
            "the exported program's inputs must be tensors",
            where=str(path),
            received=", ".join(type(tensor).__name__ for tensor in tensors) or "none",
            remedy="export a module whose forward takes tensors only",
        )
    return {str(name): tensor for name, tensor in zip(names, tensors, strict=True)}


def _keywords(exported: torch.export.ExportedProgram) -> list[str]:
    """Returns the inputs that are passed by name; they follow those passed by position."""
    return [] if exported.example_inputs is None else list(exported.example_inputs[1])


def _check_types(weights: Mapping[str, torch.Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if tensor.dtype not in (torch.float32, torch.float16):
            raise ExportError(
                "a weight has an element type that the reference cannot compute in",
                where=f"{path}: {name}",
                received=str(tensor.dtype),
                remedy="convert the module with .float() or .half() before exporting it",
            )
