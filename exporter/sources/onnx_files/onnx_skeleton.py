"""An ONNX model without its weights: what onnx's checker and shape inference are given, which copy what they get."""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from exporter.sources.onnx_files.onnx_tensors import node_lists

_SHAPE_ELEMENTS = 64
"""Initializers up to this size are kept: shapes may be made from them."""


def without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a copy in which larger and external tensors are inputs of their types and shapes.

    Sizes that the file states of other values than inputs are left out: some exporters write wrong ones.

    Args:
        proto: Its tensors were checked.
    """
    skeleton = onnx.ModelProto(
        ir_version=proto.ir_version, opset_import=proto.opset_import, functions=proto.functions
    )
    graph = skeleton.graph
    graph.name = proto.graph.name or "graph"
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    graph.initializer.extend(tensor for tensor in proto.graph.initializer if not _is_lifted(tensor))
    _add_inputs(graph, (tensor for tensor in proto.graph.initializer if _is_lifted(tensor)))
    _lift_nested(skeleton)
    return skeleton


def _is_lifted(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or math.prod(tensor.dims) > _SHAPE_ELEMENTS


def _add_inputs(graph: onnx.GraphProto, tensors: Iterable[onnx.TensorProto]) -> None:
    present = {value.name for value in graph.input}
    for tensor in tensors:
        if tensor.name not in present:  # two branches may each have one of a name
            present.add(tensor.name)
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def _lift_nested(skeleton: onnx.ModelProto) -> None:
    """The checker looks for external data beside the process: in nested graphs and constants they become inputs too."""
    lifted = []
    for nodes in list(node_lists(skeleton)):
        for index in reversed(range(len(nodes.initializers))):
            if nodes.initializers[index].data_location == onnx.TensorProto.EXTERNAL:
                lifted.append(nodes.initializers.pop(index))
        for index in reversed(range(len(nodes.nodes))):
            constant = _external_constant(nodes.nodes[index])
            if constant is not None:
                lifted.append(constant)
                del nodes.nodes[index]
    _add_inputs(skeleton.graph, lifted)


def _external_constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    for attribute in node.attribute:
        if attribute.HasField("t") and attribute.t.data_location == onnx.TensorProto.EXTERNAL:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(attribute.t)
            tensor.name = node.output[0] if node.output else ""
            return tensor
    return None
