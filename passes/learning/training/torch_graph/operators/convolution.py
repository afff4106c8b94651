"""Convolutions over one to three spatial axes."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from passes.learning.training.torch_graph.op_node import OpNode
from passes.learning.training.torch_graph.operators.windows import pad_windows, spatial, window_pads
from passes.learning.training.torch_graph.registry import operator


@operator("Conv")
def convolve(op: OpNode, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolves x [N, C, ...] with weight [M, C / groups, ...].

    Raises:
        PassError: More than three spatial axes.
    """
    rank = x.ndim - 2
    functions = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    if rank not in functions:
        raise op.unsupported(f"{rank} spatial axes")
    padded = pad_windows(x, window_pads(op, x, weight.shape[2:]))
    strides, dilations = spatial(op, "strides", rank), spatial(op, "dilations", rank)
    result: Tensor = functions[rank](padded, weight, bias, strides, 0, dilations, op.integer("group", 1))
    return result
