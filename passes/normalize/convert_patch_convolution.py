"""Writes convolutions whose windows do not overlap as one MatMul over patches."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.lazy_tensor import transposed
from passes.core.rewrite import (
    Builder,
    Rewrite,
    input_at,
    integer,
    is_op,
    required_input,
    shared_initializer,
    static_shape,
)

SUFFIX = ".matrix"


class ConvertPatchConvolution(Rewrite):
    """Conv with kernel = stride, no padding, one group → Reshape, Transpose, MatMul, Add.

    This is the patch embedding of every vision transformer, and every 1x1 convolution. The product then goes
    the way of the other MatMuls: FP8 weights per output channel, and the tuned matrix kernel.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one convolution with a constant weight."""
        if not is_op(node, "Conv"):
            return False
        x, weight = required_input(node, 0), required_input(node, 1)
        if weight.const_value is None or weight.name not in graph.initializers:
            return False
        shape, kernel = static_shape(x, node), static_shape(weight, node)
        if not _windows_tile(node, shape, kernel):
            return False
        build = Builder(graph, node)
        name = f"{weight.name}{SUFFIX}"
        matrix = shared_initializer(graph, name, transposed(weight.const_value, name))
        result = build.op("MatMul", _patches(build, x, shape, kernel[2:]), matrix)
        bias = input_at(node, 2)
        result = result if bias is None else build.op("Add", result, bias)
        build.replace_anchor(_to_channels_first(build, result, shape, kernel))
        if not weight.uses() and weight.name:
            del graph.initializers[weight.name]
        return True


def _windows_tile(node: ir.Node, shape: tuple[int, ...], kernel: tuple[int, ...]) -> bool:
    spatial = len(shape) - 2
    ones, zeros = [1] * spatial, [0] * (2 * spatial)
    return (
        list(node.attributes.get_ints("strides", ones)) == list(kernel[2:])
        and list(node.attributes.get_ints("pads", zeros)) == zeros
        and list(node.attributes.get_ints("dilations", ones)) == ones
        and node.attributes.get_string("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and integer(node, "group", 1) == 1
        and all(size % window == 0 for size, window in zip(shape[2:], kernel[2:], strict=True))
    )


def _patches(build: Builder, x: ir.Value, shape: tuple[int, ...], window: tuple[int, ...]) -> ir.Value:
    """[batch, channels, size …] → [batch, windows, channels · window elements]."""
    batch, channels, *sizes = shape
    counts = [size // step for size, step in zip(sizes, window, strict=True)]
    width = channels * math.prod(window)
    if math.prod(counts) == 1:  # one window covers the input: only the shape changes
        return build.reshape(x, (batch, 1, width))
    split = (batch, channels, *(part for pair in zip(counts, window, strict=True) for part in pair))
    axes = range(len(counts))
    order = (0, *(2 + 2 * axis for axis in axes), 1, *(3 + 2 * axis for axis in axes))
    moved = build.transpose(build.reshape(x, split), order, split)
    return build.reshape(moved, (batch, math.prod(counts), width))


def _to_channels_first(
    build: Builder, result: ir.Value, shape: tuple[int, ...], kernel: tuple[int, ...]
) -> ir.Value:
    """[batch, windows, outputs] → [batch, outputs, windows per axis …]."""
    batch, outputs = shape[0], kernel[0]
    counts = [size // step for size, step in zip(shape[2:], kernel[2:], strict=True)]
    windows = math.prod(counts)
    if windows > 1:
        result = build.transpose(result, (0, 2, 1), (batch, windows, outputs))
    return build.reshape(result, (batch, outputs, *counts))
