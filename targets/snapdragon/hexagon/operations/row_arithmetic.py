"""Reciprocal and square root in integers, once a row of a softmax or a layer norm.

`runtime/integer_math.c` holds the same functions for the device.
"""

from __future__ import annotations

import math

import numpy as np

from program.program import Array

RECIPROCAL_BITS = 14
"""A row's multiplier is its reciprocal times 2^14, below 2^31."""

MAX_CHANNELS = 4096
"""Longest row: sums of codes and their squares stay inside the widths used."""


def normalizing_shift(value: int) -> int:
    """Shift s with 2^15 ≤ value · 2^−s < 2^16, for 0 < value < 2^32."""
    return value.bit_length() - 16


def reciprocal(value: int) -> tuple[int, int]:
    """(r, s) with r · 2^−(31 + s) ≈ 1 / value and 2^15 ≤ r ≤ 2^16.

    Args:
        value: Positive, below 2^32.
    """
    shift = normalizing_shift(value)
    normal = value >> shift if shift >= 0 else value << -shift
    return (1 << 31) // normal, shift


def scale_rows(values: Array, reciprocals: Array, shifts: Array) -> Array:
    """`FixedPointScale.apply` with the multiplier r · 2^14 and a right shift of each row's own.

    Args:
        values: Integers [channels, height, width].
        reciprocals: int64 [height, width], from `reciprocal`.
        shifts: int64 [height, width], right shifts of 1 to 31.

    Returns:
        int64 [channels, height, width].
    """
    total = shifts.astype(np.int64) + 31
    product = values.astype(np.int64) * (reciprocals.astype(np.int64) << RECIPROCAL_BITS)
    scaled: Array = np.right_shift(product + np.left_shift(np.int64(1), total - 1), total)
    return scaled


def square_root(value: int) -> int:
    """Largest integer whose square is not above `value`."""
    return math.isqrt(value)
