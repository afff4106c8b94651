"""Operators that cut, join and pad along axes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator


@operator("Concat", moves_data=True)
def concatenate(op: OpNode, *parts: Tensor) -> Tensor:
    """Joins along one axis."""
    return torch.cat(parts, op.axis(0, parts[0].ndim))


@operator("Split", moves_data=True)
def split(op: OpNode, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    """Cuts along one axis into given or equal parts."""
    axis = op.axis(0, x.ndim)
    given = op.list_input(1, sizes)
    step = -(-x.shape[axis] // len(op.outputs))
    return torch.split(x, step if given is None else list(given), axis)


@operator("Slice", moves_data=True)
def cut(
    op: OpNode,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Cuts with starts, ends and steps; a negative step runs backwards."""
    first, last = op.list_input(1, starts) or (), op.list_input(2, ends) or ()
    along = op.list_input(3, axes) or tuple(range(len(first)))
    strides = op.list_input(4, steps) or (1,) * len(first)
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        # ONNX writes "past the front" of a backward slice as a very small number
        stop = None if step < 0 and end < -x.shape[axis] else end
        span = range(x.shape[axis])[slice(start, stop, step)]
        x = x.index_select(axis, torch.tensor(span, dtype=torch.int64, device=x.device))
    return x


@operator("Pad", moves_data=True)
def pad(
    op: OpNode,
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    """Pads with a constant; negative amounts cut.

    Raises:
        PassError: Another mode.
    """
    if op.text("mode", "constant") != "constant":
        raise op.unsupported(f"mode {op.text('mode', '')}")
    amounts = op.list_input(1, pads) or op.integers("pads") or ()
    along = op.list_input(3, axes) or tuple(range(x.ndim))
    flat = [0] * (2 * x.ndim)
    for position, axis in enumerate(along):
        last = 2 * (x.ndim - 1 - axis % x.ndim)
        flat[last], flat[last + 1] = amounts[position], amounts[len(along) + position]
    return F.pad(x, flat, value=0.0 if value is None else value.item())
