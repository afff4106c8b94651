"""The largest code of a window, in one or two dimensions."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool:
    """code = max of the window's codes; the padding has code 0 and never wins against a code of the input.

    Attributes:
        name: Of the node.
        source: Input.
        output: Result, with the input's scale and zero point: a larger code is a larger value.
        kernel: (rows, columns) of the window.
        strides: (rows, columns).
        pads: (top, left, bottom, right).
        dilations: (rows, columns).
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    kernel: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def padding_code(self) -> int:
        """Code of the padding."""
        return 0

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        top, left, bottom, right = self.pads
        padded = np.pad(planes[0], ((0, 0), (top, bottom), (left, right)))
        result = np.zeros(self.output.extents, np.uint8)
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                window = padded[:, self._positions(0, row), self._positions(1, column)]
                np.maximum(result, window, out=result)
        return result

    def _positions(self, axis: int, step: int) -> slice:
        start, stride = step * self.dilations[axis], self.strides[axis]
        return slice(start, start + (self.output.extents[1 + axis] - 1) * stride + 1, stride)
