"""A family's network as training sees it: batch in, logits and right answers out, weights by checkpoint name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from passes.learning.distillation.selection import Read

Batch = Mapping[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network predicts.

    Attributes:
        logits: [rows, vocabulary], the rows that count.
        targets: [rows] int64, `losses.IGNORED` where no answer is known.
    """

    logits: torch.Tensor
    targets: torch.Tensor


class Task(nn.Module):
    """A network and how it is fed.

    Args:
        network: Its layers are found under the paths of `Layout.stacks`.

    Attributes:
        network: See above.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Prediction:
        """Predicts a batch.

        Args:
            batch: As the family's stream makes it.
        """
        raise NotImplementedError

    def load(self, read: Read) -> None:
        """Takes over the weights of a checkpoint."""
        with torch.no_grad():
            for name, parameter in self.named_checkpoint():
                values = torch.from_numpy(np.array(read(name)))
                parameter.copy_(values.reshape(parameter.shape))

    def named_checkpoint(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Yields every tensor of the checkpoint once, by its name there."""
        yield from self.network.state_dict().items()

    def stored_shape(self, name: str, tensor: torch.Tensor) -> tuple[int, ...]:  # noqa: ARG002 (for families)
        """Returns the shape a tensor has in the checkpoint."""
        return tuple(tensor.shape)
