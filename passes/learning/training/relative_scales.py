"""Trains quantisation scales in proportion to their size."""

from __future__ import annotations

import torch

from passes.learning.training.torch_graph.program import TorchProgram
from passes.learning.training.torch_graph.weights import Kind, kind_of
from program.program import Program


class RelativeScales:
    """Turns an optimizer's additive steps of scales into multiplicative ones.

    Adam moves every parameter by about the learning rate, whatever its size; scales go from 1e-6 to 1e2. After each
    step s + d becomes s · exp(d), which also keeps scales positive.

    Args:
        program: The graphs; they tell which initializers are scales.
        module: Made from them with `learn_scales=True`.
    """

    def __init__(self, program: Program, module: TorchProgram) -> None:
        names = {
            name
            for component in program.components.values()
            for name, value in component.model.graph.initializers.items()
            if kind_of(value) is Kind.SCALE
        }
        self._scales = [scale for name, scale in module.named_weights().items() if name in names]

    @torch.no_grad()
    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes a step of the optimizer."""
        before = [scale.detach().clone() for scale in self._scales]
        optimizer.step()
        for scale, old in zip(self._scales, before, strict=True):
            scale.copy_(old * torch.exp(scale - old))
