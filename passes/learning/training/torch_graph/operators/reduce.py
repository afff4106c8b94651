"""Reductions over axes that come as an input, or as an attribute in older opsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import operator

Axes = tuple[int, ...]

_REDUCTIONS: Mapping[str, Callable[[Tensor, Axes, bool], Tensor]] = {
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "ReduceL2": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).sqrt(),
    "ReduceLogSumExp": lambda x, axes, keep: torch.logsumexp(x, axes, keepdim=keep),
    "ReduceMax": lambda x, axes, keep: x.amax(axes, keepdim=keep),
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "ReduceMin": lambda x, axes, keep: x.amin(axes, keepdim=keep),
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keepdim=keep),
}


def _register(name: str, reduction: Callable[[Tensor, Axes, bool], Tensor]) -> None:
    @operator(name)
    def reduce(op: OpNode, x: Tensor, axes: Tensor | None = None) -> Tensor:
        """Reduces over the axes; over all of them, or none, where none is given."""
        wanted = op.list_input(1, axes) or op.integers("axes") or ()
        if not wanted and op.integer("noop_with_empty_axes", 0):
            return x
        chosen = tuple(axis % x.ndim for axis in wanted) or tuple(range(x.ndim))
        return reduction(x, chosen, bool(op.integer("keepdims", 1)))


for _name, _reduction in _REDUCTIONS.items():
    _register(_name, _reduction)


@operator("CumSum")
def cumulative_sum(op: OpNode, x: Tensor, axis: Tensor) -> Tensor:
    """Running sum along an axis, from either end, with or without the element itself."""
    (along,) = op.list_input(1, axis) or (0,)
    turned = x.flip(along) if op.integer("reverse", 0) else x
    total = turned.cumsum(along)
    if op.integer("exclusive", 0):
        total = total - turned
    return total.flip(along) if op.integer("reverse", 0) else total
