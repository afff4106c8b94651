"""Any function of one element as a table of its 256 codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from program.program import Array
from targets.errors import TargetError
from targets.snapdragon.hexagon.program.tensor import LEVELS, QuantizedTensor, as_codes


@dataclasses.dataclass(frozen=True, eq=False)
class Lookup:
    """code = table[code of the input].

    Attributes:
        name: Of the node.
        source: Input.
        output: Result.
        table: uint8 [256].
    """

    name: str
    source: QuantizedTensor
    output: QuantizedTensor
    table: Array

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """The input."""
        return (self.source,)

    def reference(self, *planes: Array) -> Array:
        """See `Operation.reference`."""
        (codes,) = planes
        result: Array = self.table[codes]
        return result


def tabulate(function: Callable[[Array], Array], source: QuantizedTensor, output: QuantizedTensor) -> Array:
    """The table of a real function, computed in float64 and rounded as QuantizeLinear does.

    Args:
        function: Of float64 [256].
        source: Whose codes are looked up.
        output: Whose codes are found.

    Returns:
        uint8 [256].

    Raises:
        TargetError: The function has no value at some code.
    """
    real = (np.arange(LEVELS + 1, dtype=np.float64) - source.zero_point) * source.scale
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        values = function(real)
    if np.isnan(values).any():
        raise TargetError(
            "a function has no value at some of its input's codes",
            where=source.name,
            received=f"{real[np.isnan(values)][0]:g}",
            remedy="quantise its input without codes for such values",
        )
    return as_codes(np.rint(values / output.scale) + output.zero_point)
