"""A whole network in integers, and its exact execution in numpy."""

from __future__ import annotations

import dataclasses

from exporter.program import Array, Feeds
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True)
class IntegerProgram:
    """Operations in an order in which each reads what exists.

    Attributes:
        name: C identifier.
        inputs: Quantised inputs; the caller quantises.
        operations: In order.
        outputs: Quantised outputs; the caller dequantises.
    """

    name: str
    inputs: tuple[QuantizedTensor, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[QuantizedTensor, ...]

    def reference(self, feeds: Feeds) -> dict[str, Array]:
        """Runs it in numpy.

        Args:
            feeds: uint8 codes of every input, in the graph's shapes.

        Returns:
            uint8 codes of every output, in the graph's shapes.
        """
        planes = {tensor.name: tensor.planes(feeds[tensor.name]) for tensor in self.inputs}
        for operation in self.operations:
            sources = (planes[source.name] for source in operation.sources)
            planes[operation.output.name] = operation.reference(*sources)
        return {tensor.name: tensor.graph_array(planes[tensor.name]) for tensor in self.outputs}
