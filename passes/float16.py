"""What float16 holds."""

from __future__ import annotations

import onnx_ir as ir

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
"""Element types of values that are, or may become, float16."""

LARGEST = 65504.0
"""Largest finite number."""

SMALLEST_NORMAL = 2.0**-14
"""Smaller numbers have fewer than 11 bits, down to 2⁻²⁴."""
