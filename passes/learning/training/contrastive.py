"""Contrastive alignment of modalities: what belongs together gets similar embeddings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize

from passes.learning.training.errors import TrainingError

INITIAL_TEMPERATURE = 0.07
LARGEST_SCALE = 100.0
"""Initial temperature and bound of 1 / temperature as in CLIP (Radford et al., arXiv 2103.00020, section 2.5)."""


class ContrastiveLoss(nn.Module):
    """Symmetric InfoNCE over every pair of modalities, with a learned temperature.

    Of each pair of modalities, the loss is the mean cross entropy of finding the row's partner among all rows, in both
    directions (CLIP, arXiv 2103.00020, figure 3; InfoNCE: arXiv 1807.03748). Rows of one group are partners of each
    other, with equal target probability (arXiv 2204.03610).

    Args:
        temperature: Initial; the learned parameter is log(1 / temperature).
    """

    def __init__(self, temperature: float = INITIAL_TEMPERATURE) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / temperature)))

    @property
    def temperature(self) -> Tensor:
        """The temperature now, 0.01 at least."""
        return 1 / self._scale()

    def forward(
        self,
        embeddings: Mapping[str, Tensor],
        present: Mapping[str, Tensor] | None = None,
        groups: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Computes the loss of each pair of modalities.

        Args:
            embeddings: Modality → [b, d], of any length; row i of each belongs to example i.
            present: Modality → [b] bool, for examples that lack a modality; default: all have it.
            groups: [b] integers; default: every example is a group of its own.

        Returns:
            `"<modality>-<modality>"` → loss in nats, pairs in the order of `embeddings`. A pair that fewer than two
            examples have is left out.

        Raises:
            TrainingError: There are fewer than two modalities, or none of their pairs has two examples.
        """
        losses = {}
        for first, second in itertools.combinations(embeddings, 2):
            a, b = embeddings[first], embeddings[second]
            rows = _rows(len(a), present, first, second).to(a.device)
            if len(rows) >= 2:
                keys = rows if groups is None else groups.to(a.device)[rows]
                losses[f"{first}-{second}"] = self._pair(a[rows], b[rows], keys)
        if not losses:
            raise TrainingError(
                "there is nothing to align",
                where="contrastive loss",
                received=f"modalities {', '.join(embeddings) or 'none'}",
                remedy="give batches of at least two examples that have two modalities or more",
            )
        return losses

    def _pair(self, first: Tensor, second: Tensor, keys: Tensor) -> Tensor:
        logits = self._scale() * normalize(first, dim=-1) @ normalize(second, dim=-1).T
        same = (keys[:, None] == keys[None, :]).to(logits.dtype)
        target = same / same.sum(dim=1, keepdim=True)
        forward = -(target * log_softmax(logits, dim=1)).sum(dim=1).mean()
        backward = -(target * log_softmax(logits.T, dim=1)).sum(dim=1).mean()
        return (forward + backward) / 2

    def _scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)


def _rows(count: int, present: Mapping[str, Tensor] | None, *names: str) -> Tensor:
    chosen = torch.ones(count, dtype=torch.bool)
    for name in names:
        if present is not None and name in present:
            chosen &= present[name].cpu()
    return chosen.nonzero().flatten()
