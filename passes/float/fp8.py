"""The FP8 codec: float to code with ONNX's rounding and saturation, code to float, and scales.

E4M3 (`FLOAT8E4M3FN`): 4 exponent bits, bias 7, largest 448, one NaN per sign, no infinity.
E5M2 (`FLOAT8E5M2`): 5 exponent bits, bias 15, largest 57344, infinities and NaNs as IEEE 754.
Source: "FP8 Formats for Deep Learning", arXiv 2209.05433; saturation as in ONNX Cast and QuantizeLinear.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from passes.core.errors import PassError
from program.number_format import Format
from program.program import Array

Codes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_TORCH_ELEMENTS = 1 << 14
"""From here on torch's vectorised cast (2.8 GB/s on one core) beats ml_dtypes' (0.17 GB/s) call overhead included."""


def encode(values: Array, fmt: Format) -> Codes:
    """Rounds half to even and saturates (ONNX `saturate = 1`: ±infinity becomes ± the largest value).

    Args:
        values: float16 or float32 of any shape.
        fmt: E4M3 or E5M2.

    Returns:
        Codes of the same shape; NaN stays NaN.
    """
    if values.size < _TORCH_ELEMENTS:
        limited = np.clip(values.astype(np.float32, copy=False), -fmt.largest, fmt.largest)
        with np.errstate(invalid="ignore"):  # NaN is converted to NaN
            return limited.astype(fmt.numpy).view(np.uint8)
    from passes.float.fp8_torch import (
        encode_array,  # torch takes seconds to import, which small tensors need not wait for
    )

    return encode_array(values, fmt)


def decode(codes: Codes, fmt: Format) -> Floats:
    """Returns the float32 values of codes; both formats are exact in float32 and in float16."""
    return code_values(fmt)[codes]


def code_values(fmt: Format) -> Floats:
    """Returns the values of the 256 codes as float32, by code."""
    return np.arange(256, dtype=np.uint8).view(fmt.numpy).astype(np.float32)


def round_trip(values: Array, scale: Array | float, fmt: Format) -> Floats:
    """Quantises to FP8 and back: decode(encode(values / scale)) · scale, in float32."""
    wide = values.astype(np.float32, copy=False)
    return decode(encode(wide / np.float32(scale), fmt), fmt) * np.asarray(scale, np.float32)


def scales_for(absmax: Array | float, fmt: Format, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Chooses scales so that `absmax` lands at the top of the format, without saturating.

    scale = absmax / largest, rounded up to `dtype` and made storable; channels of zeros get 1.

    Args:
        absmax: Largest magnitude per channel, any shape, finite.
        fmt: E4M3 or E5M2.
        dtype: float16 or float32, the type the scale is stored in.

    Returns:
        Scales of that type and shape, all positive and normal.

    Raises:
        PassError: A magnitude is not finite.
    """
    wide = np.asarray(absmax, np.float64)
    if not np.all(np.isfinite(wide)):
        raise PassError(
            "a weight or activation has infinite or NaN values",
            where=f"scales of {fmt.value}",
            remedy="check the checkpoint and the calibration inputs",
        )
    return storable_scales(np.where(wide > 0, wide / fmt.largest, 1.0), fmt, dtype)


def storable_scales(scales: Array | float, fmt: Format, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Rounds scales up to `dtype`, after doubling those below its smallest normal number until they are not.

    An E5M2 weight with a maximum of 0.1 asks for 1.7e-6, which float16 stores with 5 bits and which a device may
    flush to zero. After doublings the codes use a lower part of the format's range, with the same mantissas.

    Args:
        scales: Positive scales, any shape.
        fmt: E4M3 or E5M2; bounds the doublings, so that the largest magnitude never falls below code 1.0.
        dtype: float16 or float32.

    Returns:
        Scales of that type and shape, all positive and normal.
    """
    wide, target = np.asarray(scales, np.float64), np.dtype(dtype)
    info = ml_dtypes.finfo(target)
    smallest = float(info.smallest_normal)
    doublings = np.clip(np.ceil(np.log2(smallest / wide)), 0, math.floor(math.log2(fmt.largest)))
    lifted = np.clip(wide * np.exp2(doublings), smallest, float(info.max))
    nearest = lifted.astype(target)
    upper = np.nextafter(nearest, np.asarray(np.inf, target))
    return np.asarray(np.where(nearest.astype(np.float64) < lifted, upper, nearest), target)
