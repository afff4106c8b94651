"""The affine quantiser: value = scale · (code - zero_point), as in ONNX QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from program.number_format import IntegerType
from program.program import Array

SMALLEST_SCALE = 2.0**-96
"""Scales below it (a range of denormal numbers) would make `1 / scale` overflow float32."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The interval of values an encoding must cover.

    Attributes:
        low: At most 0.
        high: At least 0.
    """

    low: float
    high: float

    def union(self, other: Range) -> Range:
        """Returns the least interval that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def widened(self, factor: float) -> Range:
        """Returns the interval with both ends moved away from 0."""
        return Range(self.low * factor, self.high * factor)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How one tensor is stored.

    Attributes:
        type: Of the codes.
        scale: Step between two codes, exactly representable in float32.
        zero_point: The code of 0.
    """

    type: IntegerType
    scale: float
    zero_point: int = 0

    @property
    def range(self) -> Range:
        """The values of the least and the largest code."""
        return Range(
            self.scale * (self.type.lowest - self.zero_point),
            self.scale * (self.type.highest - self.zero_point),
        )


def affine_encoding(values: Range, kind: IntegerType) -> Encoding:
    """Covers a range: asymmetrically with an unsigned type, symmetrically with a signed one.

    The zero point is an integer, so that 0 is exact; rounding it moves both ends by half a step at most, so that no
    value of the range is off by more than half a step.

    Args:
        values: The interval.
        kind: Type of the codes.
    """
    if kind.is_signed:
        return Encoding(kind, storable_scale(max(-values.low, values.high) / kind.highest))
    scale = storable_scale((values.high - values.low) / kind.highest)
    return Encoding(kind, scale, min(kind.highest, round(-values.low / scale)))


def storable_scale(scale: float) -> float:
    """Rounds a scale up to float32; 1 for a scale of 0."""
    if scale <= 0:
        return 1.0
    wide = max(scale, SMALLEST_SCALE)
    nearest = np.float32(wide)
    return float(nearest if float(nearest) >= wide else np.nextafter(nearest, np.float32(np.inf)))


def quantise(values: Array, scale: Array | float, zero_point: Array | int, kind: IntegerType) -> Array:
    """Rounds half to even and saturates, as QuantizeLinear does.

    Args:
        values: Finite float values of any shape.
        scale: One scale, or scales that broadcast against `values`.
        zero_point: Likewise.
        kind: Type of the codes.

    Returns:
        Codes of the shape of `values`.
    """
    steps = np.rint(values.astype(np.float32, copy=False) / np.asarray(scale, np.float32))
    codes = np.clip(steps + np.asarray(zero_point, np.float32), kind.lowest, kind.highest)
    return np.asarray(codes, kind.numpy)


def dequantise(codes: Array, scale: Array | float, zero_point: Array | int) -> npt.NDArray[np.float32]:
    """Returns the float32 values of codes."""
    steps = codes.astype(np.float32) - np.asarray(zero_point, np.float32)
    return np.asarray(steps * np.asarray(scale, np.float32), np.float32)
