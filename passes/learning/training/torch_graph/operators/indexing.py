"""Operators that pick elements by indices that are known at run time."""

from __future__ import annotations

import torch
from torch import Tensor

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator


def _from_zero(indices: Tensor, extent: int) -> Tensor:
    return torch.where(indices < 0, indices + extent, indices).to(torch.int64)


@operator("Gather", moves_data=True)
def gather(op: OpNode, x: Tensor, indices: Tensor) -> Tensor:
    """Rows (or slices along `axis`) by index; the axis is replaced by those of the indices."""
    axis = op.axis(0, x.ndim)
    rows = x.index_select(axis, _from_zero(indices, x.shape[axis]).reshape(-1))
    return rows.reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


@operator("GatherElements", moves_data=True)
def gather_elements(op: OpNode, x: Tensor, indices: Tensor) -> Tensor:
    """Elements by an index tensor of the result's shape."""
    axis = op.axis(0, x.ndim)
    return x.gather(axis, _from_zero(indices, x.shape[axis]))


@operator("GatherND", moves_data=True)
def gather_nd(op: OpNode, x: Tensor, indices: Tensor) -> Tensor:
    """Slices by index tuples in the last axis of the indices.

    Raises:
        PassError: There are batch axes.
    """
    if op.integer("batch_dims", 0):
        raise op.unsupported("batch_dims")
    return x[
        tuple(_from_zero(index, extent) for index, extent in zip(indices.unbind(-1), x.shape, strict=False))
    ]
