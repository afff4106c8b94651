"""Operators that rearrange elements without computing."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from passes.learning.training.torch_graph.element_types import to_carrier
from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import Gradient, operator


@operator("ConstantOfShape", gradient=Gradient.NONE, moves_data=True)
def constant_of_shape(op: OpNode, shape: Tensor) -> Tensor:
    """A tensor of one repeated value; float zero where none is given."""
    value = op.attributes.get("value")
    fill = torch.zeros((), dtype=op.carrier) if value is None else to_carrier(value, op.carrier).reshape(())
    return fill.to(shape.device).expand(op.list_input(0, shape) or ())


@operator("Reshape", moves_data=True)
def reshape(op: OpNode, x: Tensor, shape: Tensor | None = None) -> Tensor:
    """Same elements, new shape; 0 keeps an extent and −1 is worked out."""
    wanted = op.list_input(1, shape) or ()
    if not op.integer("allowzero", 0):
        wanted = tuple(x.shape[i] if extent == 0 else extent for i, extent in enumerate(wanted))
    return x.reshape(wanted)


@operator("Flatten", moves_data=True)
def flatten(op: OpNode, x: Tensor) -> Tensor:
    """To two dimensions, split at `axis`."""
    axis = op.integer("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@operator("Squeeze", moves_data=True)
def squeeze(op: OpNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Removes axes of extent 1."""
    wanted = op.list_input(1, axes) or op.integers("axes")
    return x.squeeze() if wanted is None else x.squeeze(wanted)


@operator("Unsqueeze", moves_data=True)
def unsqueeze(op: OpNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Inserts axes of extent 1."""
    wanted = op.list_input(1, axes) or op.integers("axes") or ()
    rank = x.ndim + len(wanted)
    for axis in sorted(axis % rank for axis in wanted):
        x = x.unsqueeze(axis)
    return x


@operator("Transpose", moves_data=True)
def transpose(op: OpNode, x: Tensor) -> Tensor:
    """Permutes axes; reverses them where no order is given."""
    return x.permute(op.integers("perm") or tuple(reversed(range(x.ndim))))


@operator("Expand", moves_data=True)
def expand(op: OpNode, x: Tensor, shape: Tensor | None = None) -> Tensor:
    """Broadcasts to a shape, which may itself have extents of 1 where x has more."""
    return x.expand(np.broadcast_shapes(x.shape, op.list_input(1, shape) or ()))


@operator("Tile", moves_data=True)
def tile(op: OpNode, x: Tensor, repeats: Tensor | None = None) -> Tensor:
    """Repeats along each axis."""
    return x.repeat(op.list_input(1, repeats) or ())
