"""Product of two tensors of one shape, element by element."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Multiplication:
    """code = clamp(zero_point + scaled((a − zero_a) · (b − zero_b))).

    Attributes:
        name: Of the node.
        left: First factor.
        right: Second factor.
        output: Result.
        minimum: Least code, the output's zero point after a ReLU, else 0.
    """

    name: str
    left: QuantizedTensor
    right: QuantizedTensor
    output: QuantizedTensor
    minimum: int = 0

    def __post_init__(self) -> None:
        """Checks the scales.

        Raises:
            TargetError: The factors' scales are too large for the output's.
        """
        self.scale.require_headroom(LEVELS * LEVELS, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """Both factors."""
        return self.left, self.right

    @property
    def scale(self) -> FixedPointScale:
        """Product of the input scales over the output scale."""
        return fixed_point_scale([self.left.scale * self.right.scale / self.output.scale])

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        left, right = (
            codes.astype(np.int64) - source.zero_point
            for codes, source in zip(planes, self.sources, strict=True)
        )
        result = self.scale.apply(left * right) + self.output.zero_point
        return as_codes(result, self.minimum)
