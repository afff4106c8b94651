"""A whole program as torch modules that share their weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from passes.learning.training.torch_graph.element_types import from_carrier, to_carrier
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.weights import Weights
from program.program import Array, Executor, Feeds, Program


class TorchProgram(nn.Module):
    """The components of a program; a weight that several of them name is one parameter.

    Args:
        program: Normalised, perhaps quantised; it is read, not kept.
        names: Components to take; default all.
        learn_scales: Whether the scales of QuantizeLinear and DequantizeLinear get gradients.
        checkpointing: See `TorchComponent`.

    Attributes:
        components: By name.

    Raises:
        PassError: An operator has no rule.
    """

    def __init__(
        self,
        program: Program,
        names: Iterable[str] | None = None,
        learn_scales: bool = False,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        weights = Weights(learn_scales=learn_scales)
        chosen = program.components if names is None else tuple(names)
        self.components: nn.ModuleDict = nn.ModuleDict(
            {
                name: TorchComponent(
                    program.components[name].model, name, weights, checkpointing=checkpointing
                )
                for name in chosen
            }
        )

    def component(self, name: str) -> TorchComponent:
        """Returns a component."""
        module: TorchComponent = self.components[name]  # type: ignore[assignment]
        return module

    def forward(self, name: str, feeds: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Computes one component; see `TorchComponent.forward`."""
        return self.component(name)(feeds)  # type: ignore[no-any-return]

    def named_weights(self) -> dict[str, nn.Parameter]:
        """Returns the parameters of all components by initializer name."""
        return {
            key: parameter
            for name in self.components
            for key, parameter in self.component(name).named_weights().items()
        }

    def executors(self) -> dict[str, Executor]:
        """Returns every component as an executor, so that the program's runner can drive the modules."""
        return {name: executor(self.component(name)) for name in self.components}


def executor(module: TorchComponent) -> Executor:
    """Wraps a component as a function of numpy arrays, without gradients; outputs have the graph's element types.

    Args:
        module: On any device.
    """

    def run(feeds: Feeds) -> dict[str, Array]:
        device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        wanted = {signature.name for signature in module.inputs}
        tensors = {
            name: to_carrier(array, module.carrier).to(device)
            for name, array in feeds.items()
            if name in wanted
        }
        with torch.no_grad():
            results = module(tensors)
        return {
            output.name: from_carrier(results[output.name], output.dtype)
            for output in module.outputs
            if output.dtype is not None
        }

    return run
