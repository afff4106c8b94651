""".onnx files with their external data: checked, brought to opset 23, weights left where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from exporter.errors import ExportError, SourceError
from exporter.families.generic.program import COMPONENT, generic_program, guess_modality
from exporter.modality import tag_modalities
from exporter.model_folder import ModelFolder
from exporter.options import CaptureOptions
from exporter.program import Component, Program, Role, tensor_spec
from exporter.shorten import shorten
from exporter.simplify import simplify
from exporter.sources.input_shapes import fix_input_shapes, infer_static_shapes
from exporter.sources.onnx_original import onnx_original
from exporter.sources.opset import to_opset

MAX_PROTO_BYTES = (1 << 31) - 1
"""Protocol buffers cannot be larger; bigger models keep their weights in external files."""

_TYPES = {ir.DataType.BFLOAT16, ir.DataType.DOUBLE, ir.DataType.COMPLEX64, ir.DataType.COMPLEX128}
"""Types that the reference cannot compute in throughout."""


def open_onnx(path: Path, options: CaptureOptions) -> Program:
    """Reads an ONNX model, in the element type it has.

    Raises:
        SourceError: The file is damaged, or its external data are missing or outside its folder.
        ExportError: Dynamic shapes, unknown operators, or no way to opset 23.
    """
    proto = _parse(path)
    folder = ModelFolder(path.parent)
    _check_external(proto, folder, path)
    model = ir.from_proto(proto)
    _set_base_dir(model, folder)
    InlinePass()(model)
    _drop_initializer_inputs(model.graph)
    fix_input_shapes(model.graph, options.input_shapes, path)
    infer_static_shapes(model)
    _check_operators(model, path)
    model = to_opset(model, path)
    unknown = None
    while unknown != (unknown := infer_static_shapes(model)):
        simplify(model)  # folds what is computed from shapes, from which more shapes follow
    _check_types(model.graph, path)
    _check_outputs(model.graph, path)
    modality = guess_modality([tensor_spec(value) for value in model.graph.inputs])
    tag_modalities(model.graph, (), modality)
    component = Component(COMPONENT, Role.MODEL, modality, model)
    original = onnx_original(path, component.inputs)
    return generic_program(component, path, options, original, weight_files=_weight_files(proto))


def _parse(path: Path) -> onnx.ModelProto:
    if path.stat().st_size > MAX_PROTO_BYTES:
        raise SourceError(
            "the .onnx file is larger than 2 GiB", where=str(path), remedy="save its weights externally"
        )
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf has an exception class of its own for damaged files
        raise SourceError("the .onnx file is damaged", where=str(path), received=shorten(error)) from error


def _check_external(proto: onnx.ModelProto, folder: ModelFolder, path: Path) -> None:
    for tensor in _tensors(proto.graph):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        fields = {entry.key: entry.value for entry in tensor.external_data}
        size = folder.file(fields.get("location", "")).stat().st_size
        offset, length = (fields.get(key, "0") for key in ("offset", "length"))
        if not (offset.isdecimal() and length.isdecimal()) or int(offset) + int(length) > size:
            raise SourceError(
                "external data lie outside their file",
                where=f"{path}: {tensor.name}",
                received=f"offset {offset}, length {length}, the file has {size} bytes",
                remedy="copy the .data file again",
            )


def _weight_files(proto: onnx.ModelProto) -> list[str]:
    names = {
        entry.value
        for tensor in _tensors(proto.graph)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return sorted(names)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)


def _set_base_dir(model: ir.Model, folder: ModelFolder) -> None:
    for value in model.graph.initializers.values():
        if isinstance(value.const_value, ir.ExternalTensor):
            value.const_value.base_dir = str(folder.path)


def _drop_initializer_inputs(graph: ir.Graph) -> None:
    """Before IR version 4 every initializer was an input too."""
    for value in list(graph.inputs):
        if value.is_initializer():
            graph.inputs.remove(value)


def _check_operators(model: ir.Model, path: Path) -> None:
    for node in model.graph.all_nodes():
        version = model.opset_imports.get(node.domain, 0)
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type, version, ""):
            raise ExportError(
                "an operator is not part of standard ONNX",
                where=f"{path}: node {node.name or '(unnamed)'}",
                received=f"{node.domain or 'ai.onnx'}::{node.op_type}, opset {version}",
                remedy="export the model with standard operators only",
            )


def _check_types(graph: ir.Graph, path: Path) -> None:
    for value in (*graph.inputs, *graph.initializers.values()):
        if value.dtype in _TYPES:
            raise ExportError(
                "a tensor has an element type that the reference cannot compute in",
                where=f"{path}: {value.name}",
                received=value.dtype.name,
                remedy="export the model in float32 or float16",
            )


def _check_outputs(graph: ir.Graph, path: Path) -> None:
    for value in graph.outputs:
        if value.dtype is None or value.shape is None or not value.shape.is_static():
            raise ExportError(
                "an output's shape depends on values, or cannot be inferred",
                where=f"{path}: output {value.name}",
                received=str(value.shape),
                remedy="remove operators such as NonZero, whose output size depends on values",
            )
