"""What every integer operation has."""

from __future__ import annotations

from typing import Protocol

from program.program import Array
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


class Operation(Protocol):
    """A step of an integer program, with its weights and its exact meaning."""

    @property
    def name(self) -> str:
        """Of the node it came from."""
        ...

    @property
    def sources(self) -> tuple[QuantizedTensor, ...]:
        """What it reads."""
        ...

    @property
    def output(self) -> QuantizedTensor:
        """What it writes."""
        ...

    def reference(self, *planes: Array) -> Array:
        """Computes the output codes.

        Args:
            planes: uint8 [channels, height, width] of each source.

        Returns:
            uint8 [channels, height, width] of the output.
        """
        ...
