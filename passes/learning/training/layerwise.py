"""A component computed layer by layer, for models whose weights do not fit in memory."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir
import torch

from passes.learning.training.torch_graph.block import Block
from passes.learning.training.torch_graph.element_types import from_carrier, to_carrier
from passes.learning.training.torch_graph.interpreter import Signature, output_signatures
from passes.learning.training.torch_graph.layers import cut_layers, used_after
from passes.learning.training.torch_graph.straight_through import round_to
from passes.learning.training.torch_graph.weights import Weights
from program.program import Array, Feeds


class LayerwiseExecutor:
    """Runs a graph with the weights of one layer in memory at a time.

    A layer's weights are read, used for all samples and dropped. What stays is the largest layer in float32 and, for
    each sample, the values that later layers need. It computes what `TorchComponent` does, without gradients, and is
    an `program.program.Executor`: it can observe calibration requests where ONNX Runtime cannot load the component.

    Args:
        model: Static graph, normalised.
        name: Name of the component, for messages.
        extra_outputs: Names of intermediate values to return as well.
        device: Where layers are computed.

    Raises:
        PassError: An extra output does not exist.
    """

    def __init__(
        self,
        model: ir.Model,
        name: str = "model",
        extra_outputs: Sequence[str] = (),
        device: torch.device | None = None,
    ) -> None:
        graph = model.graph
        self._name = name
        self._device = device or torch.device("cpu")
        self._inputs = tuple(Signature(value.name or "", value.dtype) for value in graph.inputs)
        self._outputs = output_signatures(graph, extra_outputs, name)
        self._layers = cut_layers(tuple(graph))
        self._used = used_after(self._layers, {output.name for output in self._outputs})

    def __call__(self, feeds: Feeds) -> dict[str, Array]:
        """Runs one sample."""
        return self.run([feeds])[0]

    @torch.no_grad()
    def run(self, samples: Sequence[Feeds]) -> list[dict[str, Array]]:
        """Runs samples together, so that the weights are read once.

        Args:
            samples: One array for each graph input; others are ignored.

        Returns:
            For each sample the graph outputs (and the extra ones) by name, in the graph's element types.

        Raises:
            PassError: An operator has no rule.
        """
        values = [self._feed(feeds) for feeds in samples]
        for layer, used in zip(self._layers, self._used, strict=True):
            block = Block(layer.nodes, self._name, Weights(), used).to(self._device)
            for place, known in enumerate(values):
                results = block(*(known[name] for name in block.input_names))
                merged = known | dict(zip(block.output_names, results, strict=True))
                values[place] = {name: value for name, value in merged.items() if name in used}
            del block  # before the next layer's weights are read
        return [self._collect(known) for known in values]

    def _feed(self, feeds: Feeds) -> dict[str, torch.Tensor]:
        carrier = Weights().carrier
        return {
            signature.name: round_to(to_carrier(feeds[signature.name], carrier), signature.dtype).to(
                self._device
            )
            for signature in self._inputs
        }

    def _collect(self, values: dict[str, torch.Tensor]) -> dict[str, Array]:
        return {
            output.name: from_carrier(values[output.name], output.dtype)
            for output in self._outputs
            if output.dtype is not None
        }
