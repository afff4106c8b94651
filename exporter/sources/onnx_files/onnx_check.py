"""Finds what is wrong with an ONNX file before anything is made of it, without touching its weights."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import shape_inference

from exporter.errors import ExportError, SourceError
from exporter.files.tensor_limits import MAX_RANK
from exporter.sources.onnx_files.external_data import external_files, tensor_bytes
from exporter.sources.onnx_files.function_calls import check_functions
from exporter.sources.onnx_files.onnx_operators import check_nodes, has_known_operators
from exporter.sources.onnx_files.onnx_skeleton import without_weights
from exporter.sources.onnx_files.onnx_tensors import PlacedTensor, node_lists, placed_tensors
from exporter.sources.sizes.sized_graph import SizedGraph, sized_proto
from exporter.sources.sizes.value_sizes import check_value_sizes
from program.errors import DiagnosticError
from program.shorten import shorten

_NOT_INFERRED = frozenset({"MeanVarianceNormalization"})
"""Operators whose definition by other ones is of a newer opset than theirs, at which onnx's own inference fails."""


def check_onnx(proto: onnx.ModelProto, path: Path) -> SizedGraph:
    """Checks a model by onnx's own checker and shape inference, and the sizes of all its values.

    Args:
        proto: As parsed, without external data.
        path: Of the file, for errors.

    Returns:
        Types and shapes of its values, as far as they follow from the file.

    Raises:
        SourceError: The file is damaged, or the graph is not a valid one.
        ExportError: It holds what npuc does not support: text, sparse tensors, values without bound.
    """
    try:
        _check_names(proto, path)
        external_files(proto, path)
        check_functions(proto, path)
        for placed in placed_tensors(proto):
            _check_tensor(placed, path)
        if any(nodes.sparse for nodes in node_lists(proto)):
            raise _unsupported(
                "an initializer is sparse", str(path), "sparse_initializer", "store it as a dense one"
            )
        _check_boundary(proto.graph, path)
        check_nodes(proto, path)
        return _check_graph(proto, path)
    except DiagnosticError:
        raise
    except Exception as error:  # the checker, the inference and protobuf have exception classes of their own
        raise SourceError(
            "the .onnx file is not a valid model",
            where=str(path),
            received=shorten(error),
            remedy="export it again; onnx.checker.check_model(path, full_check=True) says the same",
        ) from error


def _check_names(proto: onnx.ModelProto, path: Path) -> None:
    """Protobuf hands out a name as bytes where it is no text; no library expects that."""
    values = (*proto.graph.input, *proto.graph.output, *proto.graph.value_info)
    names = [(value.name, "value") for value in values]
    for nodes in node_lists(proto):
        names += [(tensor.name, f"initializer{nodes.where}") for tensor in nodes.initializers]
        for node in nodes.nodes:
            own = (node.name, node.op_type, node.domain, node.overload, *node.input, *node.output)
            names += [(name, f"node{nodes.where}") for name in own]
            names += [(attribute.name, f"attribute{nodes.where}") for attribute in node.attribute]
    for name, where in names:
        if not isinstance(name, str):
            raise SourceError("a name is not UTF-8 text", where=f"{path}: {where}", received=repr(name)[:80])


def _check_graph(proto: onnx.ModelProto, path: Path) -> SizedGraph:
    known = has_known_operators(proto)
    skeleton = without_weights(proto)
    strict = known and not _holds(proto, _NOT_INFERRED)
    inferred = shape_inference.infer_shapes(skeleton, check_type=known, strict_mode=strict)
    inferred.ir_version = max(inferred.ir_version, 4)  # before, each initializer had to be an input too
    for value in (*inferred.graph.input, *inferred.graph.output):
        value.type.tensor_type.shape.SetInParent()  # the checker wants one, also where a user may choose it
    if known:  # others are named, in npuc's own words, where operators are checked
        onnx.checker.check_model(inferred)
    graph = sized_proto(inferred.graph)
    check_value_sizes(graph, path)
    return graph


def _check_tensor(placed: PlacedTensor, path: Path) -> None:
    tensor, where = placed.tensor, f"{path}: {placed.where}"
    if tensor.data_type == onnx.TensorProto.STRING:
        raise _unsupported("a tensor holds text", where, "STRING", "leave text outside the model")
    if len(tensor.dims) > MAX_RANK:
        raise _unsupported(f"a tensor has more than {MAX_RANK} axes", where, str(len(tensor.dims)), "")
    needed = tensor_bytes(tensor)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return
    if not tensor.HasField("raw_data"):
        onnx.checker.check_tensor(tensor)
    elif len(tensor.raw_data) != needed:
        received = f"{len(tensor.raw_data)} bytes, {needed} for {list(tensor.dims)}"
        raise SourceError("the bytes of a tensor do not fit its shape", where=where, received=received)


def _check_boundary(graph: onnx.GraphProto, path: Path) -> None:
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if not value.type.HasField("tensor_type"):
                received = value.type.WhichOneof("value") or "no type"
                raise _unsupported(
                    f"an {kind} is not a tensor",
                    f"{path}: {value.name}",
                    received,
                    "export a model of plain tensors",
                )
    names = [value.name for value in graph.output]
    if not names or len(set(names)) != len(names):
        received = ", ".join(names) or "no outputs"
        raise SourceError(
            "the graph has no outputs, or two of one name", where=str(path), received=received[:200]
        )


def _holds(proto: onnx.ModelProto, operators: frozenset[str]) -> bool:
    return any(node.op_type in operators for nodes in node_lists(proto) for node in nodes.nodes)


def _unsupported(what: str, where: str, received: str, remedy: str) -> ExportError:
    return ExportError(what, where=where, received=received, remedy=remedy)
