"""What bounds on sizes look at of a graph: types and shapes of its values, read from an ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping

import onnx

ELEMENT_BITS = {
    "BOOL": 8, "INT8": 8, "UINT8": 8, "FLOAT8E4M3FN": 8, "FLOAT8E4M3FNUZ": 8, "FLOAT8E5M2": 8, "FLOAT8E5M2FNUZ": 8,
    "FLOAT8E8M0": 8, "INT16": 16, "UINT16": 16, "FLOAT16": 16, "BFLOAT16": 16, "INT32": 32, "UINT32": 32, "FLOAT": 32,
    "INT64": 64, "UINT64": 64, "DOUBLE": 64, "COMPLEX64": 64, "COMPLEX128": 128, "INT2": 2, "UINT2": 2, "INT4": 4,
    "UINT4": 4, "FLOAT4E2M1": 4, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6,
}  # fmt: skip
"""Bits of one element, packed, by the standard's names of element types; text has none."""


@dataclasses.dataclass(frozen=True)
class SizedValue:
    """A value of a graph.

    Attributes:
        key: The same for one value wherever it is read.
        name: For people.
        dtype: The standard's name of its element type; empty where it is unknown.
        shape: Extents, None for one that is unknown; or None.
    """

    key: Hashable
    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True)
class SizedNode:
    """A node: its operator, the values it reads, and those it makes."""

    operator: str
    inputs: tuple[SizedValue, ...]
    outputs: tuple[SizedValue, ...]


@dataclasses.dataclass(frozen=True)
class SizedGraph:
    """A graph.

    Attributes:
        inputs: Of the graph.
        initializers: Of the graph.
        nodes: Of the graph itself, in order.
        nested: Values that nodes of graphs nested in it make.
        outputs: Of the graph.
    """

    inputs: tuple[SizedValue, ...]
    initializers: tuple[SizedValue, ...]
    nodes: tuple[SizedNode, ...]
    nested: tuple[SizedValue, ...]
    outputs: tuple[SizedValue, ...]


def sized_proto(graph: onnx.GraphProto) -> SizedGraph:
    """Looks at a graph of a file, with inferred shapes."""
    values = _values(graph)
    inputs = tuple(values[value.name] for value in graph.input)
    initializers = tuple(values[tensor.name] for tensor in graph.initializer)
    nodes = tuple(_node(node, values) for node in graph.node)
    outputs = tuple(values[value.name] for value in graph.output)
    return SizedGraph(inputs, initializers, nodes, tuple(_nested(graph)), outputs)


def _values(graph: onnx.GraphProto) -> dict[str, SizedValue]:
    values = {value.name: _value(value) for value in (*graph.value_info, *graph.output, *graph.input)}
    for tensor in graph.initializer:
        dtype = onnx.TensorProto.DataType.Name(tensor.data_type)
        values[tensor.name] = SizedValue(tensor.name, tensor.name, dtype, tuple(tensor.dims))
    return values


def _value(info: onnx.ValueInfoProto) -> SizedValue:
    tensor = info.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type) if tensor.elem_type else ""
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
    return SizedValue(info.name, info.name, dtype, shape)


def _node(node: onnx.NodeProto, values: Mapping[str, SizedValue]) -> SizedNode:
    inputs = tuple(_named(name, values) for name in node.input if name)
    outputs = tuple(_named(name, values) for name in node.output if name)
    if node.op_type == "Constant":
        outputs = tuple(_constant(node, output) for output in outputs)
    return SizedNode(node.op_type, inputs, outputs)


def _constant(node: onnx.NodeProto, output: SizedValue) -> SizedValue:
    """The value itself says more than the inference does."""
    tensor = next((attribute.t for attribute in node.attribute if attribute.HasField("t")), None)
    if tensor is None:
        return output
    dtype = onnx.TensorProto.DataType.Name(tensor.data_type)
    return dataclasses.replace(output, dtype=dtype, shape=tuple(tensor.dims))


def _named(name: str, values: Mapping[str, SizedValue]) -> SizedValue:
    return values.get(name) or SizedValue(name, name, "", None)


def _nested(graph: onnx.GraphProto) -> Iterator[SizedValue]:
    pending = _inner(graph)
    while pending:
        inner = pending.pop()
        values = _values(inner)
        for node in inner.node:
            yield from _node(node, values).outputs
        pending += _inner(inner)


def _inner(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    single = [attribute.g for attribute in attributes if attribute.HasField("g")]
    return single + [inner for attribute in attributes for inner in attribute.graphs]
