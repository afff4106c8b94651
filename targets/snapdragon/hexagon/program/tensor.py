"""A quantised tensor of an integer program."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from program.program import Array
from targets.errors import TargetError

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
    def has_planes(self) -> bool:
        """Whether a kernel can walk the height in equal steps: all axes of it lie on one side of the channel axis."""
        rows = [axis for axis in self._others[:-1] if self.shape[axis] > 1]
        return not any(a < self.channel_axis < b for a in rows for b in rows)

    @property
    def strides(self) -> tuple[int, int, int]:
        """Bytes between neighbours along channel, height and width in the graph's row-major order.

        Raises:
            TargetError: There is no such number for the height.
        """
        if not self.has_planes:
            raise TargetError(
                "the channel axis lies between two axes that both have more than one element",
                where=self.name,
                received=f"shape {list(self.shape)}, channels on axis {self.channel_axis}",
                remedy="use --npu cpu for this model",
            )
        others = self._others
        # the innermost axis of the height that has any extent decides how far rows are apart
        rows = [axis for axis in others[:-1] if self.shape[axis] > 1] or others[:-1]
        return (
            self._step(self.channel_axis),
            self._step(rows[-1]) if rows else 1,
            self._step(others[-1]) if others else 1,
        )

    def _step(self, axis: int) -> int:
        return math.prod(self.shape[axis + 1 :])

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
