"""Brings ONNX models to the one opset that npuc compiles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnx_ir as ir

from exporter.errors import ExportError
from program.program import OPSET
from program.shorten import shorten

# what it cannot convert itself it leaves to onnx, and warns the user of npuc about it
logging.getLogger("onnxscript.version_converter").setLevel(logging.ERROR)


def to_opset(model: ir.Model, path: Path) -> ir.Model:
    """Converts a model to `OPSET`.

    From a newer opset only what an older one can say as well: newer versions mostly allow more element types.

    Args:
        model: With the element types of its values; may be changed in place.
        path: Of its file, for messages.

    Raises:
        ExportError: There is no way to that opset.
    """
    version = model.opset_imports.get("", 0)
    if version > OPSET:
        for node in model.graph.all_nodes():
            _require_older_form(node, version, path)
        model.opset_imports[""] = OPSET
        return model
    return model if version == OPSET else _upgraded(model, version, path)


def _upgraded(model: ir.Model, version: int, path: Path) -> ir.Model:
    from onnxscript import version_converter  # not for a model that is of this opset, or refused before

    reason = f"opset {version}"
    try:
        converted = version_converter.convert_version(model, OPSET, fallback=True)
        model = converted if converted is not None else model
    except Exception as error:  # the converter raises many unrelated classes
        reason = shorten(error)
    if model.opset_imports.get("") != OPSET:
        raise ExportError(
            f"the model cannot be brought to opset {OPSET}",
            where=str(path),
            received=reason,
            remedy=f"export it with opset_version={OPSET}",
        )
    return model


def _require_older_form(node: ir.Node, version: int, path: Path) -> None:
    """Checks that a node of a newer opset means the same in `OPSET`.

    Raises:
        ExportError: It uses what is not in there yet.
    """
    if node.domain not in ("", "ai.onnx"):
        return
    new = _newer_part(node, version)
    if new:
        raise ExportError(
            f"the model cannot be brought to opset {OPSET}",
            where=f"{path}: node {node.name or '(unnamed)'}",
            received=f"{node.op_type} of opset {version} with {new}",
            remedy=f"export it with opset_version={OPSET}",
        )


def _newer_part(node: ir.Node, version: int) -> str:
    """What a node has that its operator does not have in `OPSET`, in words; empty for nothing."""
    if not onnx.defs.has(node.op_type, OPSET, ""):
        return "no form in older opsets"
    schema = onnx.defs.get_schema(node.op_type, OPSET, "")
    if schema.since_version == onnx.defs.get_schema(node.op_type, version, "").since_version:
        return ""
    for name in node.attributes:
        if name not in schema.attributes:
            return f"attribute {name}"
    if any(value is not None for value in node.inputs[schema.max_input :]):
        return f"{len(node.inputs)} inputs"
    return _newer_type("input", node.inputs, schema.inputs) or _newer_type(
        "output", node.outputs, schema.outputs
    )


def _newer_type(
    kind: str, values: Sequence[ir.Value | None], formals: Sequence[onnx.defs.OpSchema.FormalParameter]
) -> str:
    for index, value in enumerate(values):
        formal = formals[min(index, len(formals) - 1)]  # the last one may stand for any number
        if value is None or value.dtype is None:
            continue
        if f"tensor({value.dtype.name.lower()})" not in formal.types:
            return f"element type {value.dtype.name} of {kind} {index}"
    return ""
