"""Rounding whose gradient is that of the identity ("straight-through estimator", arXiv 1308.3432)."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir
import torch

from passes.learning.training.torch_graph.element_types import FP8, INTEGER_LIMITS, NARROW

Tensor = torch.Tensor


def straight_through(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Returns `function(x)`; its gradient is passed on to `x` unchanged.

    The result is written as x + (function(x) - x), which `torch.vmap` runs without a Python call for each row. It is
    exact for every rounding to a nearest value: either that value is 0, or it is between x / 2 and 2 x, and then the
    difference is exact (Sterbenz' lemma). Only the sign of a zero may be another one. Under `torch.no_grad`, the
    result is `function(x)` itself.
    """
    if not torch.is_grad_enabled():  # x.requires_grad says nothing inside vmap
        return function(x)
    with torch.no_grad():
        difference = function(x) - x
    return x + difference.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)


def round_to(x: Tensor, dtype: ir.DataType | None) -> Tensor:
    """Rounds to float16 or bfloat16 and stays in the carrier's type; any other type leaves `x` as it is."""
    narrow = NARROW.get(dtype) if dtype is not None else None
    if narrow is None or not x.is_floating_point():
        return x
    return straight_through(x, lambda values: values.to(narrow).to(values.dtype))


def round_to_codes(x: Tensor, dtype: ir.DataType) -> Tensor:
    """Saturates and rounds half to even to the codes of a quantised type.

    Saturation has its own gradient, zero outside the range ("clipped" straight-through); rounding passes it on.

    Args:
        x: x / scale, or for integers round(x / scale) + zero point.
        dtype: FLOAT8E4M3FN, FLOAT8E5M2 or an integer type of at most 32 bits.

    Returns:
        The codes' values, in the type of `x`.
    """
    if dtype in FP8:
        target = FP8[dtype]
        largest = torch.finfo(target).max
        return straight_through(x.clamp(-largest, largest), lambda v: v.to(target).to(v.dtype))
    low, high = INTEGER_LIMITS[dtype]
    return straight_through(x, torch.round).clamp(low, high)
