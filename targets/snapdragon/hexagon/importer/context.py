"""What the importer offers to the converters of single nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import onnx_ir as ir

from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


class NodeContext(Protocol):
    """What a converter may ask of the importer."""

    def tensor(self, value: ir.Value, channel_axis: int | None = None) -> QuantizedTensor:
        """The codes of a dequantised value, with the channels on the given axis.

        Raises:
            TargetError: The value is not quantised.
        """
        ...

    def add(self, operation: Operation) -> None:
        """Appends an operation."""
        ...


Converter = Callable[[NodeContext, ir.Node, QuantizedTensor, int], QuantizedTensor]
"""(importer, node, output with the last axis as channels, least code) → output with its real channel axis."""
