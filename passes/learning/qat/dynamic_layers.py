"""Torch modules with fake-quantised weights and dynamically scaled activations, to train or to evaluate.

The counterpart of `torch.ao.quantization.quantize_dynamic` for FP8: weights stay float parameters, are quantised in
each forward pass with one scale per output channel, and inputs with one scale per call, so that nothing needs to be
calibrated. Rounding passes gradients on (straight-through, arXiv 1308.3432).
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn
from torch.nn import functional

from passes.learning.training.errors import TrainingError
from passes.learning.training.torch_graph.element_types import INTEGER_LIMITS
from passes.learning.training.torch_graph.straight_through import round_to_codes

CODES: Mapping[torch.dtype, ir.DataType] = {
    torch.float8_e4m3fn: ir.DataType.FLOAT8E4M3FN,
    torch.float8_e5m2: ir.DataType.FLOAT8E5M2,
    torch.qint8: ir.DataType.INT8,
    torch.int8: ir.DataType.INT8,
}
"""Supported `dtype`s; int8 codes are used symmetrically, -127 to 127."""


class DynamicLinear(nn.Linear):
    """`nn.Linear` on quantised inputs and weights; same parameters, same state dictionary."""

    codes: ir.DataType

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Maps [..., in_features] to [..., out_features]."""
        weight = fake_quantize(self.weight, self.codes, channels=True)
        return functional.linear(fake_quantize(input, self.codes), weight, self.bias)

    def extra_repr(self) -> str:
        """Adds the format to the module's description."""
        return f"{super().extra_repr()}, codes={self.codes.name.lower()}"


class DynamicConv2d(nn.Conv2d):
    """`nn.Conv2d` on quantised inputs and weights; same parameters, same state dictionary."""

    codes: ir.DataType

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Maps [b, in_channels, height, width] to [b, out_channels, ...]."""
        weight = fake_quantize(self.weight, self.codes, channels=True)
        output: Tensor = self._conv_forward(fake_quantize(input, self.codes), weight, self.bias)
        return output

    def extra_repr(self) -> str:
        """Adds the format to the module's description."""
        return f"{super().extra_repr()}, codes={self.codes.name.lower()}"  # type: ignore[no-untyped-call]


QUANTIZED: Mapping[type[nn.Module], type[nn.Module]] = {nn.Linear: DynamicLinear, nn.Conv2d: DynamicConv2d}
"""Float module → the one that takes its place."""


def quantize_dynamic(
    model: nn.Module,
    qconfig_spec: Collection[type[nn.Module] | str] | None = None,
    dtype: torch.dtype = torch.float8_e4m3fn,
    inplace: bool = False,
) -> nn.Module:
    """Makes the layers of a model compute with quantised weights and inputs, trainable as before.

    Args:
        model: Any module; a layer of exactly `nn.Linear` or `nn.Conv2d` can be quantised.
        qconfig_spec: Module types, or names of modules, in which case every layer inside them counts. Default:
            `{nn.Linear}`.
        dtype: `torch.float8_e4m3fn`, `torch.float8_e5m2`, `torch.qint8` or `torch.int8`.
        inplace: Whether `model` itself is changed rather than a copy.

    Returns:
        The model; names of modules and parameters, and the state dictionary, stay.

    Raises:
        TrainingError: The format or a type is not supported, or a name is not in the model.
    """
    if dtype not in CODES:
        raise TrainingError(
            "the format is not supported",
            where="quantize_dynamic",
            received=str(dtype),
            remedy=f"use one of {', '.join(map(str, CODES))}",
        )
    wanted = {nn.Linear} if qconfig_spec is None else set(qconfig_spec)
    _check(model, wanted)
    result = model if inplace else copy.deepcopy(model)
    types, names = (
        {kind for kind in wanted if not isinstance(kind, str)},
        {n for n in wanted if isinstance(n, str)},
    )
    for name, module in list(result.named_modules()):
        inside = any(name == part or name.startswith(f"{part}.") for part in names)
        if type(module) in QUANTIZED and (inside or type(module) in types):
            # the class alone changes: parameters, hooks and shared references stay
            module.__class__ = QUANTIZED[type(module)]
            module.codes = CODES[dtype]
    return result


def fake_quantize(x: Tensor, codes: ir.DataType, channels: bool = False) -> Tensor:
    """Quantises and decodes, with straight-through gradients.

    Args:
        x: Any shape.
        codes: FLOAT8E4M3FN, FLOAT8E5M2 or INT8.
        channels: One scale for each slice of the first axis rather than for all of `x`.

    Returns:
        A tensor of the same type: codes times scale, scale = largest magnitude / largest code.
    """
    wide = x.float()
    rest = tuple(range(1, wide.ndim)) if channels else tuple(range(wide.ndim))
    largest = wide.detach().abs().amax(dim=rest, keepdim=True) if wide.numel() else wide.new_ones(())
    scale = torch.where(largest > 0, _rounded_up(largest.double() / _largest_code(codes)), 1.0)
    decoded: Tensor = round_to_codes(wide / scale, codes) * scale
    return decoded.to(x.dtype)


def _rounded_up(scale: Tensor) -> Tensor:
    """float64 to normal float32, upwards as `passes.float.fp8` does: the largest magnitude does not saturate."""
    nearest = scale.float().clamp_min(torch.finfo(torch.float32).tiny)
    return torch.where(
        nearest.double() < scale, torch.nextafter(nearest, nearest.new_tensor(torch.inf)), nearest
    )


def _largest_code(codes: ir.DataType) -> float:
    if codes in INTEGER_LIMITS:
        return float(INTEGER_LIMITS[codes][1])
    return float(torch.finfo(next(dtype for dtype, found in CODES.items() if found is codes)).max)


def _check(model: nn.Module, wanted: set[Any]) -> None:
    known = {name for name, _ in model.named_modules()}
    for kind in wanted:
        if kind not in (known if isinstance(kind, str) else QUANTIZED):
            raise TrainingError(
                "there is no such module"
                if isinstance(kind, str)
                else "modules of this type cannot be quantised",
                where="quantize_dynamic",
                received=kind if isinstance(kind, str) else kind.__name__,
                remedy=f"name modules of the model, or {', '.join(sorted(t.__name__ for t in QUANTIZED))}",
            )
