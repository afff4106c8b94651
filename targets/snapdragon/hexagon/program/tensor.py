"""A quantised tensor of an integer program."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from program.program import Array

LEVELS = 255
"""Largest code of an unsigned 8-bit activation."""


def as_codes(values: Array, minimum: int = 0) -> Array:
    """Saturates to uint8 codes.

    Args:
        values: Whole numbers of any type.
        minimum: Least code.
    """
    codes: Array = np.clip(values, minimum, LEVELS).astype(np.uint8)
    return codes


@dataclasses.dataclass(frozen=True)
class QuantizedTensor:
    """Unsigned 8-bit activations: real value = (code − zero_point) · scale.

    Kernels see every tensor as planes [channels, height, width]: the channel axis first, the last other axis as the
    width, all remaining axes together as the height.

    Attributes:
        name: In the graph.
        shape: In the graph.
        channel_axis: Which axis holds the channels, 0 or more.
        scale: Step, positive.
        zero_point: Code of the real zero, 0 to 255.
    """

    name: str
    shape: tuple[int, ...]
    channel_axis: int
    scale: float
    zero_point: int

    @property
    def channels(self) -> int:
        """Extent of the channel axis."""
        return self.shape[self.channel_axis]

    @property
    def width(self) -> int:
        """Extent of the last axis that is not the channel axis."""
        others = self._others
        return self.shape[others[-1]] if others else 1

    @property
    def height(self) -> int:
        """Product of the remaining extents."""
        return math.prod(self.shape[axis] for axis in self._others[:-1])

    @property
    def extents(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def strides(self) -> tuple[int, int, int]:
        """Bytes between neighbours along channel, height and width in the graph's row-major order.

        Axes that make up the height are neighbours in memory unless the channel axis lies between two of them that
        are both longer than one; `planes` and the importer exclude that.
        """
        inner = math.prod(self.shape[self.channel_axis + 1 :])
        if self.channel_axis == len(self.shape) - 1:
            return 1, self.width * self.channels, self.channels
        return inner, self.width, 1

    @property
    def elements(self) -> int:
        """Number of codes."""
        return math.prod(self.shape)

    @property
    def _others(self) -> list[int]:
        return [axis for axis in range(len(self.shape)) if axis != self.channel_axis]

    def planes(self, array: Array) -> Array:
        """The array of the graph's shape as [channels, height, width]."""
        return np.ascontiguousarray(np.moveaxis(array, self.channel_axis, 0).reshape(self.extents))

    def graph_array(self, planes: Array) -> Array:
        """Undoes `planes`."""
        rest = [self.shape[axis] for axis in self._others]
        return np.ascontiguousarray(np.moveaxis(planes.reshape(self.channels, *rest), 0, self.channel_axis))

    def quantize(self, values: Array) -> Array:
        """ONNX's QuantizeLinear: halves to even, saturating."""
        return as_codes(np.rint(values.astype(np.float32) / np.float32(self.scale)) + self.zero_point)

    def dequantize(self, codes: Array) -> Array:
        """ONNX's DequantizeLinear, in float32."""
        values: Array = (codes.astype(np.int32) - self.zero_point).astype(np.float32) * np.float32(self.scale)
        return values
