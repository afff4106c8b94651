"""What float16 holds."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from program.program import Array

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
"""Element types of values that are, or may become, float16."""

LARGEST = 65504.0
"""Largest finite number."""

SMALLEST_NORMAL = 2.0**-14
"""Smaller numbers have fewer than 11 bits, down to 2⁻²⁴."""


def largest_finite(array: Array) -> float:
    """Returns the largest finite magnitude; 0 where there is none."""
    magnitudes = np.abs(np.asarray(array, np.float32))
    return float(np.max(magnitudes, where=np.isfinite(magnitudes), initial=0.0))
