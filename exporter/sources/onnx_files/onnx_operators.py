"""Which operators an ONNX file may hold: standard ones, calls of its own functions, no loops."""

from __future__ import annotations

from pathlib import Path

import onnx

from exporter.errors import ExportError
from exporter.sources.onnx_files.onnx_tensors import node_lists

_STANDARD = ("", "ai.onnx")
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
    for node in proto.graph.node:
        if node.op_type in _LOOPS and node.domain in _STANDARD:
            raise nested_graph(node.name, node.op_type, path)


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
