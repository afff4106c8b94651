"""Codes that are the same in every run, as an operand of an element-wise operator."""

from __future__ import annotations

import dataclasses

from program.program import Array
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """An operand without inputs.

    Attributes:
        name: Of the node that reads it.
        output: What the codes stand for.
        codes: uint8, of the output's shape.
    """

    name: str
    output: QuantizedTensor
    codes: Array

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """Nothing is read."""
        return ()

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        del planes
        return self.output.planes(self.codes)
