"""Mean over all positions: global average pooling."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Mean:
    """code = clamp(zero_point + scaled(Σ code − positions · input's zero point)).

    Attributes:
        name: Of the node.
        source: Input.
        output: Result, with one position.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor

    def __post_init__(self) -> None:
        """Checks that the sums fit.

        Raises:
            TargetError: They may overflow.
        """
        self.scale.require_headroom(LEVELS * self.positions, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    @property
    def positions(self) -> int:
        """How many codes of a channel are averaged."""
        return self.source.height * self.source.width

    @property
    def scale(self) -> FixedPointScale:
        """Input scale over output scale and number of positions."""
        return fixed_point_scale([self.source.scale / self.output.scale / self.positions])

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        sums = planes[0].astype(np.int64).sum(axis=(1, 2), keepdims=True)
        result = self.scale.apply(sums - self.positions * self.source.zero_point) + self.output.zero_point
        return as_codes(result)
