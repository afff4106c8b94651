"""Between ONNX element types, numpy arrays and torch tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import torch

from program.program import Array

FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})

FP8: Mapping[ir.DataType, torch.dtype] = {
    ir.DataType.FLOAT8E4M3FN: torch.float8_e4m3fn,
    ir.DataType.FLOAT8E5M2: torch.float8_e5m2,
}

INTEGER_LIMITS: Mapping[ir.DataType, tuple[int, int]] = {
    ir.DataType.INT4: (-8, 7),
    ir.DataType.UINT4: (0, 15),
    ir.DataType.INT8: (-128, 127),
    ir.DataType.UINT8: (0, 255),
    ir.DataType.INT16: (-32768, 32767),
    ir.DataType.UINT16: (0, 65535),
    ir.DataType.INT32: (-(1 << 31), (1 << 31) - 1),
}
"""Smallest and largest code of the integer types that QuantizeLinear and DequantizeLinear know."""

NARROW: Mapping[ir.DataType, torch.dtype] = {
    ir.DataType.FLOAT16: torch.float16,
    ir.DataType.BFLOAT16: torch.bfloat16,
}
"""Types whose values the interpreter carries in a wider one, rounded after each operator."""

_PLAIN: Mapping[ir.DataType, torch.dtype] = {
    ir.DataType.FLOAT: torch.float32,
    ir.DataType.DOUBLE: torch.float64,
    ir.DataType.BOOL: torch.bool,
    ir.DataType.INT8: torch.int8,
    ir.DataType.UINT8: torch.uint8,
    ir.DataType.INT16: torch.int16,
    ir.DataType.INT32: torch.int32,
    ir.DataType.INT64: torch.int64,
}


def plain_torch_type(dtype: ir.DataType) -> torch.dtype | None:
    """Returns torch's type of the same values; None for the 4-bit types, which torch does not compute in."""
    return {**_PLAIN, **NARROW, **FP8}.get(dtype)


def to_carrier(array: Array, carrier: torch.dtype) -> torch.Tensor:
    """Copies an array to torch: floats and FP8 values in the carrier's type, 4-bit integers as int8.

    Args:
        array: Of numpy or ml_dtypes type.
        carrier: float32 or float64.
    """
    dtype = ir.DataType.from_numpy(array.dtype)
    if dtype in FLOATS or dtype in FP8:
        wide = np.float64 if carrier is torch.float64 else np.float32
        return torch.from_numpy(array.astype(wide)).to(carrier)
    if dtype in (ir.DataType.INT4, ir.DataType.UINT4):
        array = array.astype(np.int8)
    return torch.from_numpy(np.array(array, order="C"))


def from_carrier(values: torch.Tensor, dtype: ir.DataType) -> Array:
    """Returns a tensor as a numpy (or ml_dtypes) array of an ONNX type; values are converted, codes saturate.

    Args:
        values: Any shape and device.
        dtype: Element type of the result.
    """
    values = values.detach().cpu()
    if dtype in FP8:
        largest = torch.finfo(FP8[dtype]).max
        values = values.clamp(-largest, largest)
    target = plain_torch_type(dtype)
    if target is None:
        return values.numpy().astype(dtype.numpy())
    converted = values.to(target).contiguous()
    if dtype in NARROW or dtype in FP8:
        viewed = converted.view(torch.int16 if dtype in NARROW else torch.uint8).numpy()
        return viewed.view(dtype.numpy())
    return converted.numpy()
