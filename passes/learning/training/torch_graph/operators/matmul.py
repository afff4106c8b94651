"""Matrix products."""

from __future__ import annotations

import torch
from torch import Tensor

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator


@operator("MatMul")
def matmul(_: OpNode, x: Tensor, y: Tensor) -> Tensor:
    """Product over the last axis of x and the one before the last of y; leading axes broadcast."""
    return torch.matmul(x, y)


@operator("Gemm")
def gemm(op: OpNode, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """α·A·B + β·C, with A or B transposed where the attributes say so."""
    left = a.T if op.integer("transA", 0) else a
    right = b.T if op.integer("transB", 0) else b
    product = op.number("alpha", 1.0) * (left @ right)
    return product if c is None else product + op.number("beta", 1.0) * c
