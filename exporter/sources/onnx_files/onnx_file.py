""".onnx files with their external data: checked, brought to opset 23, weights left where they are."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import onnx
import onnx_ir as ir
from onnx_ir.external_data import set_base_dir
from onnx_ir.passes.common import InlinePass

from exporter.errors import ExportError
from exporter.families.generic.program import COMPONENT, generic_program, guess_modality
from exporter.modality import tag_modalities
from exporter.options import CaptureOptions
from exporter.simplify import simplify
from exporter.sources.examine import examine_source, require_same
from exporter.sources.onnx_files.input_shapes import fix_input_shapes, infer_static_shapes
from exporter.sources.onnx_files.onnx_operators import nested_graph, unknown_operator
from exporter.sources.onnx_files.onnx_original import onnx_original
from exporter.sources.onnx_files.onnx_parse import parse_onnx
from exporter.sources.onnx_files.opset import to_opset
from exporter.sources.sizes.sized_ir import sized_ir
from exporter.sources.sizes.value_sizes import check_node_count, check_value_sizes
from program.errors import DiagnosticError
from program.program import Component, Program, Role, tensor_spec
from program.shorten import shorten

_GRAPHS = {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}

_TYPES = {ir.DataType.BFLOAT16, ir.DataType.DOUBLE, ir.DataType.COMPLEX64, ir.DataType.COMPLEX128}
"""Types that the reference cannot compute in throughout."""


def open_onnx(path: Path, options: CaptureOptions) -> Program:
    """Reads an ONNX model, in the element type it has.

    Raises:
        SourceError: The file is damaged, or its external data are missing or outside its folder.
        ExportError: Dynamic shapes, unknown operators, or no way to opset 23.
    """
    examined = examine_source(str(path))
    proto = parse_onnx(path)
    require_same(path)
    with _foreign_errors("the graph cannot be read", path):
        model = ir.from_proto(proto)
        set_base_dir(model.graph, path.parent)
        InlinePass()(model)
    _drop_initializer_inputs(model.graph)
    fix_input_shapes(model.graph, options.input_shapes, path)
    infer_static_shapes(model)
    check_value_sizes(sized_ir(model.graph), path)
    _check_operators(model, path)
    model = to_opset(model, path)
    unknown = None
    while unknown != (unknown := infer_static_shapes(model)):
        check_value_sizes(sized_ir(model.graph), path)
        with _foreign_errors("the graph cannot be simplified", path):
            simplify(model)  # folds what is computed from shapes, from which more shapes follow
    check_value_sizes(sized_ir(model.graph), path)
    check_node_count(len(model.graph), path)
    _check_control_flow(model.graph, path)
    _check_types(model.graph, path)
    _check_outputs(model.graph, path)
    _produce_outputs(model.graph)
    modality = guess_modality([tensor_spec(value) for value in model.graph.inputs])
    tag_modalities(model.graph, (), modality)
    component = Component(COMPONENT, Role.MODEL, modality, model)
    original = onnx_original(path, component.inputs)
    weights = () if examined is None else examined.files
    return generic_program(component, path, options, original, weight_files=weights)


def _drop_initializer_inputs(graph: ir.Graph) -> None:
    """Before IR version 4 every initializer was an input too."""
    for value in list(graph.inputs):
        if value.is_initializer():
            graph.inputs.remove(value)


def _check_operators(model: ir.Model, path: Path) -> None:
    for node in model.graph.all_nodes():
        version = model.opset_imports.get(node.domain, 0)
        if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type, version, ""):
            raise unknown_operator(node.name or "", node.domain, node.op_type, version, path)


@contextlib.contextmanager
def _foreign_errors(what: str, path: Path) -> Iterator[None]:
    """Libraries fail at odd graphs with whatever class they hit; a user is told which file it was."""
    try:
        yield
    except DiagnosticError:
        raise
    except Exception as error:
        raise ExportError(
            what,
            where=str(path),
            received=shorten(error),
            remedy="export the model with another opset, or simplify it",
        ) from error


def _check_control_flow(graph: ir.Graph, path: Path) -> None:
    """No back end has loops; they are refused before the reference runs them, which may take for ever."""
    for node in graph:
        if any(attribute.type in _GRAPHS for attribute in node.attributes.values()):
            raise nested_graph(node.name or "", node.op_type, path)


def _check_types(graph: ir.Graph, path: Path) -> None:
    for value in (*graph.inputs, *graph.initializers.values()):
        if value.dtype in _TYPES:
            raise ExportError(
                "a tensor has an element type that the reference cannot compute in",
                where=f"{path}: {value.name}",
                received=value.dtype.name,
                remedy="export the model in float32 or float16",
            )


def _produce_outputs(graph: ir.Graph) -> None:
    """Lets a node produce each output that is a constant: passes and back ends name and replace constants freely."""
    for index, value in enumerate(graph.outputs):
        producer = value.producer()
        if not (value.is_initializer() or (producer is not None and producer.op_type == "Constant")):
            continue
        output = ir.Value(name=value.name, type=value.type, shape=value.shape)
        graph.outputs[index] = output
        graph.append(ir.Node("", "Identity", [value], outputs=[output], name=f"{value.name}/constant"))
        value.name = _unused_name(graph, f"{value.name}/constant")


def _unused_name(graph: ir.Graph, name: str) -> str:
    taken = {value.name for node in graph for value in node.outputs}
    taken |= {value.name for value in (*graph.inputs, *graph.initializers.values())}
    return next(
        f"{name}{suffix}"
        for suffix in itertools.chain([""], itertools.count())
        if f"{name}{suffix}" not in taken
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
