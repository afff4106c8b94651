"""Pools as integer operations: the largest code; a mean, or a convolution in which each channel is summed."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from targets.snapdragon.hexagon.importer.context import NodeContext
from targets.snapdragon.hexagon.importer.qdq import node_name
from targets.snapdragon.hexagon.importer.reading import pair, refused, required_input
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.program.fixed_point import fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


def convert_max_pool(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """MaxPool in one or two dimensions, GlobalMaxPool; a change of scale is an operation of its own."""
    source = context.tensor(required_input(node, 0), 1)
    window = _window(node, source)
    if window.kernel == (1, 1):
        raise refused(node, "a window of one position")
    result = dataclasses.replace(output, channel_axis=1)
    largest = dataclasses.replace(result, scale=source.scale, zero_point=source.zero_point)
    if largest == result and not minimum:
        context.add(MaxPool(node_name(node), source, result, *dataclasses.astuple(window)))
        return result
    largest = dataclasses.replace(largest, name=f"{output.name}.largest")
    context.add(MaxPool(node_name(node), source, largest, *dataclasses.astuple(window)))
    context.add(Requantization(node_name(node), largest, result, minimum))
    return result


def convert_average_pool(
    context: NodeContext, node: ir.Node, output: QuantizedTensor, minimum: int
) -> QuantizedTensor:
    """AveragePool in one or two dimensions."""
    source = context.tensor(required_input(node, 0), 1)
    window = _window(node, source)
    if minimum or (any(window.pads) and not node.attributes.get_int("count_include_pad", 0)):
        raise refused(node, "a ReLU, or padding that does not count")
    result = dataclasses.replace(output, channel_axis=1)
    if window.kernel == source.extents[1:] and not any(window.pads):
        context.add(Mean(node_name(node), source, result))
        return result
    weights = np.ones((source.channels, 1, *window.kernel), np.int8)
    positions = window.kernel[0] * window.kernel[1]
    bias = np.full(source.channels, -source.zero_point * positions, np.int32)
    scale = fixed_point_scale([source.scale / output.scale / positions])
    name, steps = node_name(node), (window.strides, window.pads, window.dilations)
    pool = Convolution(name, source, result, weights, bias, scale, *steps, groups=source.channels)
    context.add(pool)
    return result


@dataclasses.dataclass(frozen=True)
class _Window:
    """What a pool slides over its input, as `MaxPool` describes it."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]


def _window(node: ir.Node, source: QuantizedTensor) -> _Window:
    spatial, attributes = len(source.shape) - 2, node.attributes
    if source.shape[0] != 1 or spatial not in (1, 2) or len(node.outputs) > 1:
        raise refused(node, "a batch, three dimensions, or the places of the maxima")
    if node.op_type == "GlobalMaxPool":
        return _Window((source.height, source.width), (1, 1), (0, 0, 0, 0), (1, 1))
    if attributes.get_string("auto_pad", "NOTSET") != "NOTSET" or attributes.get_int("ceil_mode", 0) == 1:
        raise refused(node, "auto_pad or ceil_mode")
    pads = list(attributes.get_ints("pads", [0] * (2 * spatial)))
    (top, left), (bottom, right) = pair(pads[:spatial], 0), pair(pads[spatial:], 0)
    return _Window(
        pair(attributes.get_ints("kernel_shape", []), 1),
        pair(attributes.get_ints("strides", [1] * spatial), 1),
        (top, left, bottom, right),
        pair(attributes.get_ints("dilations", [1] * spatial), 1),
    )
