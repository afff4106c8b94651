"""Which channels, heads and feed-forward units of the teacher matter, from what they carry on training data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from passes.learning.distillation.layout import Layout
from passes.learning.distillation.selection import by_unit, unit_key
from passes.learning.distillation.task import Batch, Task
from passes.learning.training.distributed import current_processes

Values = npt.NDArray[np.float64]


def activation_norms(
    layout: Layout, teacher: Task, batches: Iterable[Batch]
) -> dict[tuple[str, int], Values]:
    """Scores units by |activation| · |weight| where they are read; all processes must call it.

    A channel j that a weight W reads from activations X scores ‖X_j‖₂ · Σ_i |W_ij|, as in
    `passes.learning.pruning.importance.activation_norm`; each weight's scores are shared out over the units.

    Args:
        layout: Of the teacher.
        teacher: With its weights, on the batches' device.
        batches: What it is run on.

    Returns:
        (dimension, layer or `EVERYWHERE`) → scores, for units that a linear or convolution layer reads.
    """
    modules = _reading_modules(teacher)
    with _squares(modules.values()) as sums, torch.no_grad():
        for batch in batches:
            teacher(batch)
    scores: dict[tuple[str, int], Values] = {}
    tensors = dict(teacher.named_checkpoint())
    for name, weight, layer in layout.tensors():
        module = modules.get(_identity(tensors[name]))
        if module is None or module not in sums:
            continue
        absolute = tensors[name].detach().abs().double()
        read = absolute.reshape(absolute.shape[0], absolute.shape[1], -1).sum((0, 2))
        contributions = (sums[module].sqrt() * read).cpu().numpy()
        key = unit_key(layout, weight.axes[1], layer)
        if key is not None:
            share = by_unit(contributions, 0, weight.axes[1]) / max(float(contributions.sum()), 1e-30)
            scores[key] = scores.get(key, np.zeros_like(share)) + share
    device, processes = next(teacher.parameters()).device, current_processes()
    # summed, so that processes whose last bits differ choose the same units
    return {
        key: processes.sum(torch.from_numpy(scores[key]).to(device)).cpu().numpy() for key in sorted(scores)
    }


def _reading_modules(task: Task) -> dict[int, nn.Module]:
    """Returns linear and convolution layers by the identity of their weight."""
    layers = (module for module in task.network.modules() if isinstance(module, (nn.Linear, _ConvNd)))
    return {_identity(layer.weight): layer for layer in layers}


def _identity(tensor: torch.Tensor) -> int:
    """Returns what a parameter and its entry in a state dict have in common."""
    return tensor.data_ptr()


@contextlib.contextmanager
def _squares(modules: Iterable[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """Sums up the squares of what modules read, by channel, while the block runs them."""
    sums: dict[nn.Module, torch.Tensor] = {}

    def observe(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        axis = 1 if isinstance(module, _ConvNd) else -1
        squares = inputs[0].detach().double().square().movedim(axis, -1).flatten(0, -2).sum(0)
        sums[module] = sums[module] + squares if module in sums else squares

    handles = [module.register_forward_pre_hook(observe) for module in modules]
    try:
        yield sums
    finally:
        for handle in handles:
            handle.remove()
