"""One component of a program as a differentiable torch module."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import onnx_ir as ir
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from passes.core.errors import PassError
from passes.learning.training.torch_graph.block import Block
from passes.learning.training.torch_graph.layers import cut_layers, used_after
from passes.learning.training.torch_graph.straight_through import round_to
from passes.learning.training.torch_graph.weights import Weights


@dataclasses.dataclass(frozen=True)
class Signature:
    """Name and element type of a component's input or output."""

    name: str
    dtype: ir.DataType | None


class TorchComponent(nn.Module):
    """Interprets a graph node by node, with gradients.

    Floats of any type are carried as float32 (or the carrier of `weights`): the result of each operator of a float16
    graph is rounded to float16 values, as `program.explicit_rounding` defines, and gradients keep float32's range.
    FP8 and integer weights are float master weights that the graph's own scales quantise in each step.

    Args:
        model: Static graph. It is read, not kept.
        name: Name of the component, for messages.
        weights: Shares parameters with other components of a program; default: parameters of its own.
        extra_outputs: Names of intermediate values to return as well (hidden states, inputs of layers).
        checkpointing: Whether blocks are computed again in the backward pass instead of keeping their values.

    Attributes:
        blocks: Layer by layer; their keys are the layers' names with ":" for ".".
        inputs: Graph inputs, in order.
        outputs: Graph outputs and the extra ones, in order.
        checkpointing: May be changed at any time.

    Raises:
        PassError: An operator has no rule, or an extra output does not exist.
    """

    def __init__(
        self,
        model: ir.Model,
        name: str = "model",
        weights: Weights | None = None,
        extra_outputs: Sequence[str] = (),
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        graph = model.graph
        weights = weights or Weights()
        self.name = name
        self.checkpointing = checkpointing
        self.carrier = weights.carrier
        self.inputs = tuple(Signature(value.name or "", value.dtype) for value in graph.inputs)
        self.outputs = output_signatures(graph, extra_outputs, name)
        layers = cut_layers(tuple(graph))
        wanted = used_after(layers, {output.name for output in self.outputs})
        self.blocks: nn.ModuleDict = nn.ModuleDict(
            {
                layer.name.replace(".", ":"): Block(layer.nodes, name, weights, used)
                for layer, used in zip(layers, wanted, strict=True)
            }
        )

    def forward(self, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Computes the component.

        Args:
            feeds: One tensor for each input, of its static shape; floats of any type.

        Returns:
            Outputs by name, floats in the carrier's type.

        Raises:
            PassError: An input is missing.
        """
        values = {signature.name: self._feed(feeds, signature) for signature in self.inputs}
        for block in self._blocks():
            inputs = [values[name] for name in block.input_names]
            if self.checkpointing and torch.is_grad_enabled():
                results = checkpoint(block, *inputs, use_reentrant=False)
            else:
                results = block(*inputs)
            values.update(zip(block.output_names, results, strict=True))
        return {output.name: values[output.name] for output in self.outputs}

    def named_weights(self) -> dict[str, nn.Parameter]:
        """Returns the parameters by initializer name: weights, master weights (by the codes' name) and scales."""
        return {
            name: getattr(block, attribute)
            for block in self._blocks()
            for attribute, name in block.weight_names.items()
        }

    def _blocks(self) -> Iterator[Block]:
        yield from self.blocks.values()  # type: ignore[misc]

    def _feed(self, feeds: Mapping[str, torch.Tensor], signature: Signature) -> torch.Tensor:
        if signature.name not in feeds:
            raise PassError(
                f"the input {signature.name} is missing",
                where=f"component {self.name}",
                received=", ".join(sorted(feeds)) or "no inputs",
                remedy=f"feed {', '.join(one.name for one in self.inputs)}",
            )
        value = feeds[signature.name]
        if not value.is_floating_point():
            return value
        return round_to(value.to(self.carrier), signature.dtype)


def output_signatures(graph: ir.Graph, extra: Sequence[str], component: str) -> tuple[Signature, ...]:
    """Returns the graph's outputs, then the extra ones.

    Raises:
        PassError: An extra output does not exist.
    """
    made = {value.name: value for node in graph for value in node.outputs}
    missing = sorted(set(extra) - set(made))
    if missing:
        raise PassError(
            "an extra output does not exist",
            where=f"component {component}",
            received=", ".join(missing),
            remedy="name values that a node of this component computes",
        )
    values = [*graph.outputs, *(made[name] for name in extra if not made[name].is_graph_output())]
    return tuple(Signature(value.name or "", value.dtype) for value in values)
