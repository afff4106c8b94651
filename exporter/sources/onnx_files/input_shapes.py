"""Gives the inputs of an ONNX file the sizes a user chose, and infers those of all other values from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from exporter.errors import ExportError


def fix_input_shapes(graph: ir.Graph, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Sets the shapes of inputs.

    Args:
        graph: Its inputs are changed.
        shapes: By name of the input.
        path: Of the file, for errors.

    Raises:
        ExportError: There is no such input, it has another number of axes or another fixed size, or an input is left
            without a size.
    """
    inputs = {value.name or "": value for value in graph.inputs}
    for name, shape in shapes.items():
        if name not in inputs:
            raise ExportError(
                "there is no input of this name",
                where=str(path),
                received=name,
                remedy=f"the inputs are {', '.join(inputs)}",
            )
        _require_fitting(inputs[name], shape, path)
        inputs[name].shape = ir.Shape(shape)
    dynamic = [value for value in graph.inputs if not _is_known(value.shape)]
    if dynamic:
        proposals = " ".join(f"--input-shape {value.name}={_proposal(value.shape)}" for value in dynamic)
        raise ExportError(
            "an input has a dynamic shape; npuc compiles static graphs",
            where=f"{path}: {', '.join(f'input {value.name}' for value in dynamic)}",
            received=", ".join(str(value.shape) for value in dynamic),
            remedy=f"choose its sizes: {proposals}",
        )


def infer_static_shapes(model: ir.Model) -> int:
    """Infers shapes from those of the inputs alone; returns how many are left with unknown sizes.

    Sizes that are a name, or -1 as Paddle writes it, are dropped first: they would be kept, and contradict what follows
    from a chosen input shape.
    """
    values = [*model.graph.outputs, *(value for node in model.graph.all_nodes() for value in node.outputs)]
    for value in values:
        if not value.is_graph_input() and not _is_known(value.shape):
            value.shape = None
    for value in model.graph.initializers.values():
        if value.const_value is not None:  # folded from a value whose shape was not known
            value.shape = ir.Shape(value.const_value.shape.numpy())
    ShapeInferencePass()(model)
    return sum(not _is_known(value.shape) for value in values)


def _require_fitting(value: ir.Value, shape: tuple[int, ...], path: Path) -> None:
    known = value.shape
    if known is None:
        return
    fits = len(known) == len(shape) and all(
        not isinstance(old, int) or old < 0 or old == new for old, new in zip(known, shape, strict=True)
    )
    if not fits:
        raise ExportError(
            "the chosen shape does not fit the input",
            where=f"{path}: input {value.name}",
            received=f"{list(shape)} for {known}",
            remedy="choose only the sizes that the file leaves open",
        )


def _is_known(shape: ir.Shape | None) -> bool:
    return shape is not None and all(isinstance(size, int) and size >= 0 for size in shape)


def _proposal(shape: ir.Shape | None) -> str:
    """The known sizes, 1 for the first axis (the batch), a gap for the others."""
    if shape is None:
        return "…"
    gaps = ["1", *["…"] * (len(shape) - 1)]
    return ",".join(
        str(size) if isinstance(size, int) and size >= 0 else gap
        for size, gap in zip(shape, gaps, strict=True)
    )
