"""The same codes repeated along axes of extent 1, as the operand of an element-wise operator is."""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True, eq=False)
class Broadcast:
    """Each plane extent of the source is 1 or the output's.

    Attributes:
        name: Of the node.
        source: Input, of the output's rank and channel axis.
        output: Result, with the input's scale and zero point.
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        return np.broadcast_to(planes[0], self.output.extents).copy()
