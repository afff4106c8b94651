"""The length of a gradient, and the factor that keeps float16's gradients in range."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import torch
from torch.distributed.tensor import DTensor

from passes.learning.training.distributed import Processes, local_part

_GROWTH_INTERVAL = 2000
_LARGEST = 2.0**24


@dataclasses.dataclass
class LossScale:
    """Factor on the loss: halved where a gradient overflows, doubled after many steps without (arXiv 1710.03740).

    Attributes:
        value: The factor; 1 leaves the loss alone.
        steps: Steps since it changed.
    """

    value: float = 1.0
    steps: int = 0

    def update(self, overflowed: bool) -> None:
        """Adapts the factor to what a step showed."""
        if overflowed:
            self.value, self.steps = self.value / 2, 0
            return
        self.steps += 1
        if self.steps == _GROWTH_INTERVAL:
            self.value, self.steps = min(2 * self.value, _LARGEST), 0


def gradient_norm(parameters: Iterable[torch.nn.Parameter], processes: Processes) -> float:
    """Returns the Euclidean norm of all gradients, over all processes.

    Args:
        parameters: Divided ones count in every process, whole ones in the main process only.
        processes: That train together.
    """
    total = torch.zeros((), dtype=torch.float64)
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and (processes.is_main or isinstance(gradient, DTensor)):
            total += local_part(gradient).detach().norm().double().square().cpu()
    return math.sqrt(_shared(total, processes))


def scale_gradients(parameters: Iterable[torch.nn.Parameter], factor: float) -> None:
    """Multiplies all gradients, in place."""
    if factor != 1.0:
        for parameter in parameters:
            if parameter.grad is not None:
                local_part(parameter.grad).mul_(factor)


def _shared(total: torch.Tensor, processes: Processes) -> float:
    # nccl adds up tensors of the device only
    device = torch.device("cuda") if processes.count > 1 and _uses_cuda() else torch.device("cpu")
    return float(processes.sum(total.to(device)))


def _uses_cuda() -> bool:
    return str(torch.distributed.get_backend()) == "nccl"
