"""Sum of two tensors of one shape."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale, fixed_point_scale
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes

FRACTION_BITS = 12
"""Both addends are brought to 2^-12 of an output step, added, and rounded once more, halves upwards."""


@dataclasses.dataclass(frozen=True, eq=False)
class Addition:
    """code = clamp(zero_point + ((scaled_a(a − zero_a) + scaled_b(b − zero_b) + 2^11) >> 12)).

    Attributes:
        name: Of the node.
        left: First addend.
        right: Second addend.
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
            TargetError: An addend's scale is too large for the output's.
        """
        for scale in self.scales:
            scale.require_headroom(2 * LEVELS, self.name)

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """Both addends."""
        return self.left, self.right

    @property
    def scales(self) -> tuple[FixedPointScale, FixedPointScale]:
        """Factors of the two addends."""
        unit = (1 << FRACTION_BITS) / self.output.scale
        return fixed_point_scale([self.left.scale * unit]), fixed_point_scale([self.right.scale * unit])

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        addends = [
            scale.apply(codes.astype(np.int64) - source.zero_point)
            for scale, codes, source in zip(self.scales, planes, self.sources, strict=True)
        ]
        rounded = (addends[0] + addends[1] + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
        return as_codes(rounded + self.output.zero_point, self.minimum)
