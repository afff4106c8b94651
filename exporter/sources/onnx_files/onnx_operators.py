"""Which operators an ONNX file may hold: standard ones, calls of its own functions, no loops."""

from __future__ import annotations

import math
from pathlib import Path

import onnx
import onnx.numpy_helper

from exporter.errors import ExportError
from exporter.sources.onnx_files.onnx_tensors import node_lists

_STANDARD = ("", "ai.onnx")
_WINDOW = frozenset({"kernel_shape", "pads", "strides", "dilations"})
_LARGEST_WINDOW, _LARGEST_STEP = 1 << 20, 1 << 16
_SIGNED = frozenset(
    {onnx.TensorProto.INT8, onnx.TensorProto.INT16, onnx.TensorProto.INT32, onnx.TensorProto.INT64}
)
_SMALL = 1024
_LOOPS = frozenset({"Loop", "Scan", "SequenceMap"})


def has_known_operators(proto: onnx.ModelProto) -> bool:
    """Whether each node is a standard operator or calls a function of the file."""
    version = _versions(proto).get("ai.onnx", 0)
    functions = {(function.domain, function.name) for function in proto.functions}
    return all(
        (node.domain, node.op_type) in functions or _is_standard(node, version)
        for nodes in node_lists(proto)
        for node in nodes.nodes
    )


def check_nodes(proto: onnx.ModelProto, path: Path) -> None:
    """Refuses what is refused whatever a graph is simplified to, before the libraries for that are imported.

    Operators of functions are seen once those are copied to where they are called; one that is never called may hold
    any.

    Raises:
        ExportError: A node is no standard operator, or a loop.
    """
    version = _versions(proto).get("ai.onnx", 0)
    functions = {(function.domain, function.name) for function in proto.functions}
    for nodes in node_lists(proto):
        for node in nodes.nodes if nodes.in_graph else ():
            if (node.domain, node.op_type) not in functions and not _is_standard(node, version):
                raise unknown_operator(node.name, node.domain, node.op_type, version, path)
    minus_one = {tensor.name for tensor in proto.graph.initializer if _has_minus_one(tensor)}
    for node in proto.graph.node:
        if node.domain not in _STANDARD:
            continue
        if node.op_type in _LOOPS:
            raise nested_graph(node.name, node.op_type, path)
        _check_windows(node, path)
        if node.op_type == "Constant" and any(_has_minus_one(entry.t) for entry in node.attribute):
            minus_one |= set(node.output)
        if node.op_type in ("Div", "Mod") and len(node.input) > 1 and node.input[1] in minus_one:
            raise ExportError(
                "integers are divided by -1, which ends a process where the least of them is divided",
                where=f"{path}: node {node.name or '(unnamed)'}",
                received=f"{node.op_type} by {node.input[1]}",
                remedy="negate them instead",
            )


def _check_windows(node: onnx.NodeProto, path: Path) -> None:
    """A window may be far larger than what it moves over, and takes time for all of it."""
    for entry in node.attribute:
        if entry.name not in _WINDOW:
            continue
        size = math.prod(max(value, 1) for value in entry.ints) if entry.name == "kernel_shape" else 1
        if size > _LARGEST_WINDOW or any(abs(value) > _LARGEST_STEP for value in entry.ints):
            raise ExportError(
                "a window is larger than any that can be computed in reasonable time",
                where=f"{path}: node {node.name or '(unnamed)'}",
                received=f"{node.op_type}, {entry.name} {list(entry.ints)[:8]}",
                remedy=f"use at most {_LARGEST_WINDOW} elements, and steps and pads of at most {_LARGEST_STEP}",
            )


def _has_minus_one(tensor: onnx.TensorProto) -> bool:
    """Whether a small integer constant that lies in the file itself has an element that is -1."""
    if tensor.data_type not in _SIGNED or tensor.external_data or math.prod(tensor.dims) > _SMALL:
        return False
    return bool((onnx.numpy_helper.to_array(tensor) == -1).any())


def unknown_operator(node: str, domain: str, operator: str, version: int, path: Path) -> ExportError:
    """A node is no standard operator, and calls no function of the file."""
    return ExportError(
        "an operator is not part of standard ONNX",
        where=f"{path}: node {node or '(unnamed)'}",
        received=f"{domain or 'ai.onnx'}::{operator}, opset {version}",
        remedy="export the model with standard operators only",
    )


def nested_graph(node: str, operator: str, path: Path) -> ExportError:
    """A node runs a graph of its own."""
    return ExportError(
        "an operator runs a nested graph",
        where=f"{path}: node {node or '(unnamed)'}",
        received=operator,
        remedy="unroll loops, and export one branch",
    )


def _versions(proto: onnx.ModelProto) -> dict[str, int]:
    return {opset.domain or "ai.onnx": opset.version for opset in proto.opset_import}


def _is_standard(node: onnx.NodeProto, version: int) -> bool:
    return node.domain in _STANDARD and onnx.defs.has(node.op_type, version, "")
