"""A whole network in integers, and its exact execution in numpy."""

from __future__ import annotations

import dataclasses

from program.program import Array, Feeds
from targets.snapdragon.hexagon.operations.operation import Operation
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor


@dataclasses.dataclass(frozen=True)
class IntegerProgram:
    """Operations in an order in which each reads what exists.

    Attributes:
        name: C identifier.
        inputs: Quantised inputs; the caller quantises.
        operations: In order.
        outputs: Quantised outputs; the caller dequantises.
        coded: Names of inputs and outputs that are uint8 codes in the graph too; the others are float there.
    """

    name: str
    inputs: tuple[QuantizedTensor, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[QuantizedTensor, ...]
    coded: frozenset[str] = frozenset()

    def reference(self, feeds: Feeds) -> dict[str, Array]:
        """Runs it in numpy.

        Args:
            feeds: uint8 codes of every input, in the graph's shapes.

        Returns:
            uint8 codes of every output, in the graph's shapes.
        """
        values = self.values(feeds)
        return {tensor.name: values[tensor.name] for tensor in self.outputs}

    def values(self, feeds: Feeds) -> dict[str, Array]:
        """Runs it in numpy and keeps everything.

        Args:
            feeds: uint8 codes of every input, in the graph's shapes.

        Returns:
            uint8 codes of every tensor, in the graph's shapes.
        """
        planes = {tensor.name: tensor.planes(feeds[tensor.name]) for tensor in self.inputs}
        tensors = {tensor.name: tensor for tensor in self.inputs}
        for operation in self.operations:
            sources = (planes[source.name] for source in operation.sources)
            planes[operation.output.name] = operation.reference(*sources)
            tensors[operation.output.name] = operation.output
        return {name: tensors[name].graph_array(array) for name, array in planes.items()}
