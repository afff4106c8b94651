"""Puts a batch normalisation into the convolution before it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, input_at, integer, is_op, number, shared_initializer
from program.lazy_tensor import BlockwiseTensor
from program.program import Array

_EPSILON = 1e-5
"""Default of the operator's attribute (ONNX specification, BatchNormalization-15)."""


class FuseBatchNormalization(Rewrite):
    """BatchNormalization(Conv(x, weight, bias)) → Conv(x, weight · factor, (bias - mean) · factor + shift).

    factor = gain / sqrt(variance + epsilon), one for each output channel. Inference only: the statistics are
    initializers. The product is formed when the weight is written.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one BatchNormalization."""
        if not is_op(node, "BatchNormalization") or integer(node, "training_mode", 0):
            return False
        conv = _only_producer(input_at(node, 0))
        weight, statistics = _weight(conv), [_constant(value) for value in node.inputs[1:]]
        if conv is None or weight is None or any(array is None for array in statistics):
            return False
        gain, shift, mean, variance = (np.asarray(array, np.float64) for array in statistics)
        factor = gain / np.sqrt(variance + number(node, "epsilon", _EPSILON))
        bias = _constant(input_at(conv, 2)) if input_at(conv, 2) is not None else np.zeros(len(factor))
        if bias is None or weight.const_value is None:
            return False
        gain_name = node.inputs[1].name if node.inputs[1] is not None else ""
        name = f"{weight.name}.times.{gain_name}"
        scaled = shared_initializer(graph, name, _scaled(weight.const_value, factor, name))
        moved = ((bias - mean) * factor + shift).astype(weight.const_value.dtype.numpy())
        build = Builder(graph, node)
        conv.resize_inputs(3)
        conv.replace_input_with(1, scaled)
        conv.replace_input_with(2, build.constant(moved, "bias"))
        build.replace_anchor(conv.outputs[0])
        _remove_unused(graph, weight)
        return True


def _only_producer(value: ir.Value | None) -> ir.Node | None:
    """Returns the convolution that computes a value which nothing else reads."""
    producer = value.producer() if value is not None else None
    if producer is None or value is None or not is_op(producer, "Conv"):
        return None
    return producer if len(value.uses()) == 1 and not value.is_graph_output() else None


def _weight(conv: ir.Node | None) -> ir.Value | None:
    weight = input_at(conv, 1) if conv is not None else None
    return weight if weight is not None and weight.is_initializer() else None


def _constant(value: ir.Value | None) -> Array | None:
    """Returns a vector of one value a channel."""
    tensor = value.const_value if value is not None else None
    return None if tensor is None or len(tensor.shape) != 1 else tensor.numpy()


def _remove_unused(graph: ir.Graph, weight: ir.Value) -> None:
    if not weight.uses() and weight.name:
        del graph.initializers[weight.name]


def _scaled(weight: ir.TensorProtocol, factor: Array, name: str) -> BlockwiseTensor:
    shape = tuple(int(size) for size in weight.shape.numpy())

    def read(start: int, stop: int) -> Array:
        by_channel = factor[start:stop].reshape(-1, *[1] * (len(shape) - 1))
        scaled: Array = (weight.numpy()[start:stop] * by_channel).astype(weight.dtype.numpy())
        return scaled

    return BlockwiseTensor(read, weight.dtype, shape, name=name)
