"""Normalisations. In a narrow graph statistics are computed in the carrier's type (ONNX `stash_type` = 1)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator


@operator("LayerNormalization")
def layer_norm(op: OpNode, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Normalises over the trailing axes, then scales and shifts.

    Raises:
        PassError: The outputs Mean or InvStdDev are used.
    """
    if any(op.outputs[1:]):
        raise op.unsupported("the outputs Mean and InvStdDev")
    shape = list(x.shape[op.axis(-1, x.ndim) :])
    result = F.layer_norm(x, shape, eps=op.number("epsilon", 1e-5)) * scale
    return result if bias is None else result + bias


@operator("RMSNormalization")
def rms_norm(op: OpNode, x: Tensor, scale: Tensor) -> Tensor:
    """Divides by the root mean square over the trailing axes, then scales."""
    axes = tuple(range(op.axis(-1, x.ndim), x.ndim))
    mean_square = (x * x).mean(axes, keepdim=True)
    return x * torch.rsqrt(mean_square + op.number("epsilon", 1e-5)) * scale


@operator("InstanceNormalization")
def instance_norm(op: OpNode, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalises each channel of each sample over its spatial axes."""
    return F.group_norm(x, x.shape[1], scale, bias, op.number("epsilon", 1e-5))


@operator("GroupNormalization")
def group_norm(op: OpNode, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Normalises groups of channels of each sample; scale and bias are per channel (opset 21)."""
    return F.group_norm(x, op.integer("num_groups", 1), scale, bias, op.number("epsilon", 1e-5))


@operator("BatchNormalization")
def batch_norm(op: OpNode, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """(x − mean) / √(variance + ε) · scale + bias, with recorded statistics.

    Raises:
        PassError: The node is in training mode.
    """
    if op.integer("training_mode", 0):
        raise op.unsupported("training_mode")
    column = (1, -1, *(1 for _ in x.shape[2:]))
    factor = scale / torch.sqrt(variance + op.number("epsilon", 1e-5))
    return (x - mean.reshape(column)) * factor.reshape(column) + bias.reshape(column)
