"""Activation functions and softmax."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator


@operator("Relu")
def relu(_: OpNode, x: Tensor) -> Tensor:
    """max(x, 0)."""
    return torch.relu(x)


@operator("Sigmoid")
def sigmoid(_: OpNode, x: Tensor) -> Tensor:
    """1 / (1 + e⁻ˣ)."""
    return torch.sigmoid(x)


@operator("Tanh")
def tanh(_: OpNode, x: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return torch.tanh(x)


@operator("Gelu")
def gelu(op: OpNode, x: Tensor) -> Tensor:
    """x·Φ(x), by erf or by the tanh approximation."""
    return F.gelu(x, approximate=op.text("approximate", "none"))


@operator("Swish")
def swish(op: OpNode, x: Tensor) -> Tensor:
    """x·sigmoid(αx)."""
    return x * torch.sigmoid(op.number("alpha", 1.0) * x)


@operator("HardSigmoid")
def hard_sigmoid(op: OpNode, x: Tensor) -> Tensor:
    """clip(αx + β, 0, 1)."""
    return torch.clamp(op.number("alpha", 0.2) * x + op.number("beta", 0.5), 0.0, 1.0)


@operator("HardSwish")
def hard_swish(_: OpNode, x: Tensor) -> Tensor:
    """x·clip(x/6 + ½, 0, 1)."""
    return x * torch.clamp(x / 6 + 0.5, 0.0, 1.0)


@operator("LeakyRelu")
def leaky_relu(op: OpNode, x: Tensor) -> Tensor:
    """x, or αx below zero."""
    return F.leaky_relu(x, op.number("alpha", 0.01))


@operator("PRelu")
def prelu(_: OpNode, x: Tensor, slope: Tensor) -> Tensor:
    """x, or slope·x below zero."""
    return torch.where(x < 0, slope * x, x)


@operator("Elu")
def elu(op: OpNode, x: Tensor) -> Tensor:
    """x, or α(eˣ − 1) below zero."""
    return F.elu(x, op.number("alpha", 1.0))


@operator("Softplus")
def softplus(_: OpNode, x: Tensor) -> Tensor:
    """log(1 + eˣ)."""
    return torch.logaddexp(x, torch.zeros_like(x))


@operator("Softmax")
def softmax(op: OpNode, x: Tensor) -> Tensor:
    """eˣ / Σ eˣ along one axis."""
    return torch.softmax(x, op.axis(-1, x.ndim))


@operator("LogSoftmax")
def log_softmax(op: OpNode, x: Tensor) -> Tensor:
    """Logarithm of the softmax along one axis."""
    return torch.log_softmax(x, op.axis(-1, x.ndim))
