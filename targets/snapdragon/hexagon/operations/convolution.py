"""Convolution in one or two dimensions; a matrix product is one with a 1 × 1 kernel."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution:
    """code = clamp(zero_point + scaled(bias + Σ weight · code of the input)); the padding has the input's zero point.

    Attributes:
        name: Of the node.
        source: Input.
        output: Result.
        weights: int8 [outputs, inputs of a group, kernel rows, kernel columns].
        bias: int32 [outputs], with −(input's zero point) · Σ weight already added.
        scale: Input scale · weight scale / output scale.
        strides: (rows, columns).
        pads: (top, left, bottom, right).
        dilations: (rows, columns).
        minimum: Least code, the output's zero point after a ReLU, else 0.
        groups: The outputs of each group read the inputs of the same group only.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    weights: Array
    bias: Array
    scale: FixedPointScale
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    minimum: int = 0
    groups: int = 1

    def __post_init__(self) -> None:
        """Checks that the accumulators fit.

        Raises:
            TargetError: They may overflow.
        """
        weights = np.abs(self.weights.astype(np.int64)).sum(axis=(1, 2, 3))
        magnitude = int((LEVELS * weights + np.abs(self.bias.astype(np.int64))).max())
        self.scale.require_headroom(magnitude, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def padding_code(self) -> int:
        """Code of the padding, which stands for zero."""
        return self.source.zero_point

    @property
    def kernel(self) -> tuple[int, int]:
        """(rows, columns) of the kernel."""
        return int(self.weights.shape[2]), int(self.weights.shape[3])

    @property
    def is_product(self) -> bool:
        """Whether each output position reads exactly the input position of the same place."""
        return self.kernel == (1, 1) and self.strides == (1, 1) and not any(self.pads)

    @property
    def dense_weights(self) -> Array:
        """int8 [outputs, inputs, kernel rows, kernel columns]: the weights, and zeros between the groups."""
        outputs, inputs, *kernel = self.weights.shape
        dense = np.zeros((self.groups, outputs // self.groups, self.groups, inputs, *kernel), np.int8)
        for group, part in enumerate(np.split(self.weights, self.groups)):
            dense[group, :, group] = part
        return dense.reshape(outputs, self.groups * inputs, *kernel)

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        (codes,), weights = planes, self.dense_weights.astype(np.int64)
        top, left, bottom, right = self.pads
        padded = np.pad(
            codes, ((0, 0), (top, bottom), (left, right)), constant_values=self.padding_code
        ).astype(np.int64)
        outputs, height, width = self.output.extents
        sums = np.broadcast_to(self.bias.astype(np.int64)[:, None, None], (outputs, height, width)).copy()
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                window = padded[:, self._window(0, row, height), self._window(1, column, width)]
                sums += np.tensordot(weights[:, :, row, column], window, axes=1)
        result = self.scale.apply(sums) + self.output.zero_point
        return as_codes(result, self.minimum)

    def _window(self, axis: int, position: int, extent: int) -> slice:
        start, stride = position * self.dilations[axis], self.strides[axis]
        return slice(start, start + (extent - 1) * stride + 1, stride)
