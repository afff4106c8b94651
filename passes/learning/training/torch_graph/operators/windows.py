"""Padding of convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from passes.learning.training.torch_graph.op_node import OpNode


def spatial(op: OpNode, name: str, rank: int) -> tuple[int, ...]:
    """Reads `strides` or `dilations`; ones where they are absent."""
    return op.integers(name) or (1,) * rank


def window_pads(op: OpNode, x: Tensor, kernel: Sequence[int]) -> list[tuple[int, int]]:
    """Returns (before, after) for each spatial axis of x [N, C, ...].

    Raises:
        PassError: Unknown `auto_pad`.
    """
    rank = len(kernel)
    mode = op.text("auto_pad", "NOTSET")
    if mode == "VALID":
        return [(0, 0)] * rank
    if mode == "NOTSET":
        pads = op.integers("pads") or (0,) * (2 * rank)
        return [(pads[i], pads[rank + i]) for i in range(rank)]
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise op.unsupported(f"auto_pad {mode}")
    strides, dilations = spatial(op, "strides", rank), spatial(op, "dilations", rank)
    result = []
    for extent, size, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max(0, (-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1 - extent)
        less, more = total // 2, total - total // 2
        result.append((less, more) if mode == "SAME_UPPER" else (more, less))
    return result


def pad_windows(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Pads the spatial axes of x [N, C, ...] with a constant."""
    flat = [amount for pair in reversed(pads) for amount in pair]
    return F.pad(x, flat, value=value) if any(flat) else x
