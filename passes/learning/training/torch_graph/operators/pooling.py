"""Pools over windows and over whole images."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.operators.windows import pad_windows, spatial, window_pads
from passes.learning.training.torch_graph.registry import operator


def _windows(op: OpNode, x: Tensor, fill: float) -> Tensor:
    """Returns the elements of each window in one last axis: [N, C, ..., window]."""
    if op.integer("ceil_mode", 0):
        raise op.unsupported("ceil_mode")
    kernel = op.integers("kernel_shape") or ()
    strides, dilations = spatial(op, "strides", len(kernel)), spatial(op, "dilations", len(kernel))
    windows = pad_windows(x, window_pads(op, x, kernel), fill)
    for axis, (size, stride, dilation) in enumerate(zip(kernel, strides, dilations, strict=True), start=2):
        windows = windows.unfold(axis, (size - 1) * dilation + 1, stride)[..., ::dilation]
    return windows.flatten(-len(kernel))


@operator("MaxPool")
def max_pool(op: OpNode, x: Tensor) -> Tensor:
    """Largest element of each window; padding never wins."""
    return _windows(op, x, -math.inf).amax(-1)


@operator("AveragePool")
def average_pool(op: OpNode, x: Tensor) -> Tensor:
    """Mean of each window, with or without counting the padding."""
    total = _windows(op, x, 0.0).sum(-1)
    if op.integer("count_include_pad", 0):
        return total / math.prod(op.integers("kernel_shape") or ())
    return total / _windows(op, torch.ones_like(x), 0.0).sum(-1)


@operator("GlobalAveragePool")
def global_average_pool(_: OpNode, x: Tensor) -> Tensor:
    """Mean over all spatial axes of [N, C, ...]."""
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@operator("GlobalMaxPool")
def global_max_pool(_: OpNode, x: Tensor) -> Tensor:
    """Largest element over all spatial axes of [N, C, ...]."""
    return x.amax(tuple(range(2, x.ndim)), keepdim=True)
