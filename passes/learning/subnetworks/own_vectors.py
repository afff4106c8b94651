"""Gains and biases that a sub-network has of its own, beside the matrices that it shares with the full network.

A network with fewer channels has other means and variances behind every layer. Vectors of its own correct these, as the
batch norms of slimmable networks do (Yu et al., arXiv 1812.08928), so that the shared matrices have to change less and
the full network keeps its answers. They take a thousandth of a large model's bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from passes.learning.pruning.dependencies import Dependencies
from passes.learning.subnetworks.nested import Subnetwork
from passes.learning.training.torch_graph.program import TorchProgram
from program.program import Program

RATE = 10.0
"""How much faster than the shared weights they learn: nothing else depends on them."""


class OwnVectors(nn.Module):
    """The vectors of all sub-networks, as changes of the full network's that are trained.

    Args:
        program: The program of `dependencies`.
        module: Made from it.
        dependencies: Tell which components a sub-network narrows; only these have vectors of their own.
        subnetworks: Start from the vectors they have already, else from the full network's.
    """

    def __init__(
        self,
        program: Program,
        module: TorchProgram,
        dependencies: Dependencies,
        subnetworks: Sequence[Subnetwork],
    ) -> None:
        super().__init__()
        weights = module.named_weights()
        self._starts: dict[str, dict[str, Tensor]] = {}
        self._places: dict[tuple[str, str], int] = {}
        self.changes = nn.ParameterList()
        for subnetwork in subnetworks:
            starts = self._starts[subnetwork.name] = {}
            for name in _vectors(program, weights, narrowed_components(dependencies, subnetwork)):
                start = weights[name].detach().clone()
                if name in subnetwork.vectors:
                    start = torch.from_numpy(subnetwork.vectors[name]).to(start)
                starts[name] = start
                self._places[subnetwork.name, name] = len(self.changes)
                self.changes.append(nn.Parameter(torch.zeros_like(start)))

    def of(self, subnetwork: Subnetwork) -> dict[str, Tensor]:
        """Returns initializer name → vector, with as many channels as the full network's."""
        return {
            name: start + RATE * self.changes[self._places[subnetwork.name, name]]
            for name, start in self._starts.get(subnetwork.name, {}).items()
        }

    def given_to(self, subnetworks: Sequence[Subnetwork]) -> list[Subnetwork]:
        """Returns sub-networks with the vectors as they are now."""
        return [
            dataclasses.replace(
                subnetwork,
                vectors={name: vector.detach().cpu().numpy() for name, vector in self.of(subnetwork).items()},
            )
            for subnetwork in subnetworks
        ]


def narrowed_components(dependencies: Dependencies, subnetwork: Subnetwork) -> set[str]:
    """Returns the names of components in which some product gets smaller."""
    narrowed = {group.dimension for group in dependencies.groups if group.name in subnetwork.widths}
    return {product.component for product in dependencies.products if narrowed.intersection(product.loops)}


def _vectors(program: Program, weights: dict[str, nn.Parameter], components: set[str]) -> list[str]:
    names = {
        name for component in components for name in program.components[component].model.graph.initializers
    }
    return [
        name
        for name, weight in sorted(weights.items())
        if name in names and weight.ndim == 1 and weight.requires_grad and not name.endswith(".scale")
    ]
