""".pt2 files (`torch.export.save`), read only where that cannot run code.

torch reads a copy from which everything that it would unpickle or evaluate is left out; what cannot be left out is
refused. Ordinary files made by `torch.export.save` of a static model pass.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from exporter.capture import Capture, capture_program
from exporter.errors import ExportError, SourceError
from exporter.families.generic.program import COMPONENT, generic_program, guess_modality
from exporter.options import CaptureOptions
from exporter.sandbox.limits import Limits
from exporter.sandbox.process import call_once
from exporter.sources.examine import examine_source
from exporter.sources.sizes.value_sizes import MAX_VALUE_BYTES
from exporter.sources.torch_programs.pt2_archive import MAX_SAMPLE_BYTES
from exporter.sources.torch_programs.python_factory import bind_tensors, tensor_spec
from exporter.sources.torch_programs.torch_original import torch_original
from program.program import Program, Role
from program.shorten import shorten

_TORCH_MEMORY = 2 << 30


def open_exported_program(path: Path, options: CaptureOptions) -> Program:
    """Captures a .pt2 file, in the element type it was exported in.

    Raises:
        SourceError: It is not a .pt2 archive, or reading it might run code.
        ExportError: Its sizes are dynamic, or an operator has no ONNX form.
    """
    examine_source(str(path))
    exported = load_archive(path)
    _check_sizes(exported, path)
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


def load_archive(path: Path) -> torch.export.ExportedProgram:
    """Reads an archive without running anything in it.

    Raises:
        SourceError: It is damaged, or holds what torch would evaluate.
    """
    with tempfile.TemporaryDirectory(prefix="npuc-pt2-") as temporary:
        copy = Path(temporary) / "model.pt2"
        limits = Limits(
            memory=_TORCH_MEMORY + 2 * MAX_SAMPLE_BYTES, file_bytes=path.stat().st_size + MAX_SAMPLE_BYTES
        )
        call_once(
            "exporter.sources.examined_file:copy_pt2",
            limits=limits,
            what="reading the .pt2 file",
            where=str(path),
            path=str(path),
            destination=str(copy),
        )
        try:
            return torch.export.load(copy)
        except Exception as error:  # torch raises many unrelated classes for a damaged archive
            raise SourceError(
                "the .pt2 file cannot be read", where=str(path), received=shorten(error)
            ) from error


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


def _check_sizes(exported: torch.export.ExportedProgram, path: Path) -> None:
    """Refuses a value that is too large before any code of torch's or of ours computes it."""
    for node in exported.graph.nodes:
        value = node.meta.get("val")
        if (
            isinstance(value, torch.Tensor)
            and (size := value.numel() * value.element_size()) > MAX_VALUE_BYTES
        ):
            raise ExportError(
                f"a value is larger than {MAX_VALUE_BYTES} bytes",
                where=f"{path}: {node.name}",
                received=f"{size} bytes, {list(value.shape)}",
                remedy="export the model with smaller inputs",
            )


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
