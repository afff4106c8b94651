"""AveragePool as an integer operation: a mean, or a convolution in which each channel is summed."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from targets.snapdragon.hexagon.fixed_point import fixed_point_scale
from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import pair, refused, required_input
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.tensor import QuantizedTensor


def convert_average_pool(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """AveragePool in one or two dimensions."""
    source = context.tensor(required_input(node, 0), 1)
    spatial = len(source.shape) - 2
    attributes = node.attributes
    if source.shape[0] != 1 or spatial not in (1, 2) or minimum:
        raise refused(node, "a batch, three dimensions, or a ReLU")
    if attributes.get_string("auto_pad", "NOTSET") != "NOTSET" or attributes.get_int("ceil_mode", 0) == 1:
        raise refused(node, "auto_pad or ceil_mode")
    pads = list(attributes.get_ints("pads", [0] * (2 * spatial)))
    if any(pads) and not attributes.get_int("count_include_pad", 0):
        raise refused(node, "padding that does not count")
    kernel = pair(attributes.get_ints("kernel_shape", []), 1)
    result = dataclasses.replace(output, channel_axis=1)
    if kernel == source.extents[1:] and not any(pads):
        context.add(Mean(node_name(node), source, result))
        return result
    strides = pair(attributes.get_ints("strides", [1] * spatial), 1)
    dilations = pair(attributes.get_ints("dilations", [1] * spatial), 1)
    (top, left), (bottom, right) = pair(pads[:spatial], 0), pair(pads[spatial:], 0)
    weights = np.ones((source.channels, 1, *kernel), np.int8)
    positions = kernel[0] * kernel[1]
    bias = np.full(source.channels, -source.zero_point * positions, np.int32)
    scale = fixed_point_scale([source.scale / output.scale / positions])
    padding = (top, left, bottom, right)
    pool = Convolution(node_name(node), source, result, weights, bias, scale, strides, padding, dilations)
    context.add(dataclasses.replace(pool, groups=source.channels))
    return result
