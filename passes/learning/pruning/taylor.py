"""How much the loss changes when a channel is removed, to first order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from passes.learning.pruning.dependencies import Dependencies
from passes.learning.pruning.importance import Scores, reduce_to
from passes.learning.training.torch_graph.element_types import to_carrier
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import TorchProgram
from program.program import Feeds, Program

Loss = Callable[[Mapping[str, torch.Tensor]], torch.Tensor]
"""Outputs of a component → a scalar."""


def taylor(
    program: Program,
    dependencies: Dependencies,
    feeds: Mapping[str, Sequence[Feeds]],
    loss: Loss | None = None,
) -> dict[str, Scores]:
    """Scores channels by (Σ w · ∂loss/∂w)², summed over the inputs (Molchanov et al., arXiv 1906.10771, equation 8).

    Args:
        program: Normalised float graphs whose operators the interpreter knows.
        dependencies: From `analyse`.
        feeds: Component name → inputs.
        loss: Of a component's outputs; by default their mean square, which needs no labels.

    Returns:
        Scores by group name; groups of components without feeds score 0.
    """
    module = TorchProgram(program)
    scores = {group.name: np.zeros(group.size) for group in dependencies.groups}
    for name in program.components:
        component = module.component(name)
        for feed in feeds.get(name, ()):
            _backward(component, feed, loss or output_energy)
            for key, values in _first_order(component, dependencies).items():
                scores[key] += values**2
    return scores


def output_energy(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Half the mean square of each floating output, added up."""
    floats = [value for value in outputs.values() if value.is_floating_point()]
    return torch.stack([0.5 * value.square().mean() for value in floats]).sum()


def _backward(component: TorchComponent, feed: Feeds, loss: Loss) -> None:
    component.zero_grad()
    tensors = {name: to_carrier(array, component.carrier) for name, array in feed.items()}
    loss(component(tensors)).backward()  # type: ignore[no-untyped-call]


def _first_order(component: TorchComponent, dependencies: Dependencies) -> dict[str, Scores]:
    """Returns Σ w · gradient of each channel, over the weights of one component."""
    products = {}
    for name, weight in component.named_weights().items():
        if weight.grad is not None:
            products[name] = (weight.detach() * weight.grad).double().cpu().numpy()
    result: dict[str, Scores] = {}
    for group in dependencies.groups:
        for member in group.members:
            if member.name not in products:
                continue
            product = products[member.name]
            others = tuple(axis for axis in range(product.ndim) if axis != member.axis)
            axis = dependencies.initializers[member.name][member.axis]
            along = reduce_to(product.sum(axis=others), axis, group.dimension, dependencies.dimensions.size)
            result[group.name] = result.get(group.name, np.zeros(group.size)) + along
    return result
