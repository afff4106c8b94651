"""Change of scale and zero point, with or without a ReLU."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Requantization:
    """code = clamp(zero_point + scaled(code − input's zero point)).

    Attributes:
        name: Of the node.
        source: Input.
        output: Result.
        minimum: Least code, the output's zero point for a ReLU, else 0.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    minimum: int = 0

    def __post_init__(self) -> None:
        """Checks the scales.

        Raises:
            TargetError: The input's scale is too large for the output's.
        """
        self.scale.require_headroom(LEVELS, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def scale(self) -> FixedPointScale:
        """Input scale over output scale."""
        return fixed_point_scale([self.source.scale / self.output.scale])

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        (codes,) = planes
        result = self.scale.apply(codes.astype(np.int64) - self.source.zero_point) + self.output.zero_point
        return as_codes(result, self.minimum)
