"""Comparisons, logic and other operators without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.registry import Gradient, operator

_BINARY: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "And": torch.logical_and, "Equal": torch.eq, "Greater": torch.gt, "GreaterOrEqual": torch.ge, "Less": torch.lt,
    "LessOrEqual": torch.le, "Or": torch.logical_or, "Xor": torch.logical_xor,
}  # fmt: skip


def _register(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> None:
    operator(name, gradient=Gradient.NONE)(lambda _, x, y: function(x, y))


for _name, _function in _BINARY.items():
    _register(_name, _function)


@operator("Not", gradient=Gradient.NONE)
def logical_not(_: OpNode, x: Tensor) -> Tensor:
    """Negation."""
    return torch.logical_not(x)


@operator("IsNaN", gradient=Gradient.NONE)
def is_nan(_: OpNode, x: Tensor) -> Tensor:
    """True where x is not a number."""
    return torch.isnan(x)


@operator("ArgMax", gradient=Gradient.NONE)
def arg_max(op: OpNode, x: Tensor) -> Tensor:
    """Index of the first largest element along one axis.

    Raises:
        PassError: The last one is asked for.
    """
    if op.integer("select_last_index", 0):
        raise op.unsupported("select_last_index")
    # torch leaves open which of several maxima it returns
    axis = op.axis(0, x.ndim)
    largest = (x == x.amax(axis, keepdim=True)).to(torch.int8)
    return torch.argmax(largest, axis, keepdim=bool(op.integer("keepdims", 1)))


@operator("Shape", gradient=Gradient.NONE)
def shape(op: OpNode, x: Tensor) -> Tensor:
    """The extents, from axis `start` to `end`."""
    end = op.attributes.get("end")
    return torch.tensor(list(x.shape)[op.integer("start", 0) : end], dtype=torch.int64, device=x.device)
