"""Walks over every tensor and every graph of an ONNX file, however deep it is nested."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, MutableSequence

import onnx


@dataclasses.dataclass(frozen=True)
class PlacedTensor:
    """A tensor of a file.

    Attributes:
        tensor: As the file has it.
        where: In words: `initializer w`, `attribute value of node n`, with the function it is in.
        in_graph: Whether it is an initializer, or the single tensor of an attribute, of the main graph or one nested in
            it. Others (in functions, training, lists, sparse tensors) are unusual.
    """

    tensor: onnx.TensorProto
    where: str
    in_graph: bool


@dataclasses.dataclass(frozen=True)
class NestedNodes:
    """The nodes of one graph or function, with its own tensors.

    Attributes:
        nodes: In order.
        initializers: Of the graph; functions have none.
        sparse: Sparse initializers.
        where: Suffix for messages: empty for the main graph.
        in_graph: Whether it is the main graph, or nested in it.
    """

    nodes: MutableSequence[onnx.NodeProto]
    initializers: MutableSequence[onnx.TensorProto]
    sparse: MutableSequence[onnx.SparseTensorProto]
    where: str
    in_graph: bool


def node_lists(proto: onnx.ModelProto) -> Iterator[NestedNodes]:
    """Yields the main graph, all functions, the graphs of training, and every graph nested in one of them."""
    pending = [_graph(proto.graph, "", in_graph=True)]
    pending += [
        NestedNodes(function.node, [], [], f" of function {function.name}", in_graph=False)
        for function in proto.functions
    ]
    for training in proto.training_info:
        for graph in (training.initialization, training.algorithm):
            pending.append(_graph(graph, " of the training information", in_graph=False))
    defaults = [attribute for function in proto.functions for attribute in function.attribute_proto]
    if defaults:
        holder = onnx.NodeProto(name="defaults of functions", attribute=defaults)
        pending.append(NestedNodes([holder], [], [], "", in_graph=False))
    while pending:
        nodes = pending.pop()
        yield nodes
        for node in nodes.nodes:
            for attribute in node.attribute:
                graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
                pending += [_graph(graph, nodes.where, in_graph=nodes.in_graph) for graph in graphs]


def placed_tensors(proto: onnx.ModelProto) -> Iterator[PlacedTensor]:
    """Yields every tensor of a model that may hold values or name a file with them."""
    for nodes in node_lists(proto):
        for tensor in nodes.initializers:
            yield PlacedTensor(tensor, f"initializer {tensor.name}{nodes.where}", nodes.in_graph)
        for sparse in nodes.sparse:
            yield from _sparse(sparse, f"a sparse initializer{nodes.where}")
        for node in nodes.nodes:
            for attribute in node.attribute:
                where = f"attribute {attribute.name} of node {node.name or node.op_type}{nodes.where}"
                yield from _of_attribute(attribute, where, in_graph=nodes.in_graph)


def _graph(graph: onnx.GraphProto, where: str, *, in_graph: bool) -> NestedNodes:
    return NestedNodes(graph.node, graph.initializer, graph.sparse_initializer, where, in_graph)


def _of_attribute(attribute: onnx.AttributeProto, where: str, *, in_graph: bool) -> Iterator[PlacedTensor]:
    if attribute.HasField("t"):
        yield PlacedTensor(attribute.t, where, in_graph)
    for tensor in attribute.tensors:
        yield PlacedTensor(tensor, where, in_graph=False)
    if attribute.HasField("sparse_tensor"):
        yield from _sparse(attribute.sparse_tensor, where)
    for sparse in attribute.sparse_tensors:
        yield from _sparse(sparse, where)


def _sparse(sparse: onnx.SparseTensorProto, where: str) -> Iterator[PlacedTensor]:
    for tensor in (sparse.values, sparse.indices):
        yield PlacedTensor(tensor, where, in_graph=False)
