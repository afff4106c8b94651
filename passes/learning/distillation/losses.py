"""What a student is taught: the teacher's distribution over tokens, its hidden states, its attention, the task."""

from __future__ import annotations

import dataclasses

import torch
from torch.nn import functional

IGNORED = -100
"""Target of a row without a right answer; `cross_entropy` leaves it out by default."""


@dataclasses.dataclass(frozen=True)
class TopLogits:
    """The largest logits of each row, and what the others add up to.

    Attributes:
        values: [rows, k] float32.
        indices: [rows, k] int64.
        normaliser: [rows], logarithm of the sum of exp(logit / temperature) over the whole vocabulary.
    """

    values: torch.Tensor
    indices: torch.Tensor
    normaliser: torch.Tensor


def top_logits(logits: torch.Tensor, count: int, temperature: float) -> TopLogits:
    """Keeps the `count` largest logits of each row [rows, vocabulary]."""
    values, indices = logits.float().topk(min(count, logits.shape[-1]), dim=-1)
    return TopLogits(values, indices, (logits.float() / temperature).logsumexp(-1))


def logits_loss(student: torch.Tensor, teacher: torch.Tensor | TopLogits, temperature: float) -> torch.Tensor:
    """Forward Kullback-Leibler divergence from the teacher's softened distribution, times temperature squared.

    Hinton, Vinyals and Dean (arXiv 1503.02531, section 2). With `TopLogits` all other tokens are one more outcome.

    Args:
        student: [rows, vocabulary].
        teacher: [rows, vocabulary], or the largest of each row.
        temperature: Above 0; larger ones show more of the improbable tokens.
    """
    log_student = functional.log_softmax(student.float() / temperature, dim=-1)
    if isinstance(teacher, torch.Tensor):
        log_teacher = functional.log_softmax(teacher.float() / temperature, dim=-1)
    else:
        log_teacher = teacher.values.float() / temperature - teacher.normaliser[:, None]
        log_student = log_student.gather(-1, teacher.indices)
        log_teacher, log_student = _with_rest(log_teacher), _with_rest(log_student)
    divergence = functional.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return divergence.sum(-1).mean() * temperature**2


def _with_rest(log_probabilities: torch.Tensor) -> torch.Tensor:
    """Appends the logarithm of what is missing to 1."""
    rest = (1 - log_probabilities.exp().sum(-1, keepdim=True)).clamp(min=1e-9)
    return torch.cat([log_probabilities, rest.log()], dim=-1)


def task_loss(student: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of the rows with a right answer; 0 where there is none.

    Args:
        student: [rows, vocabulary].
        targets: [rows] int64, or `IGNORED`.
    """
    total = functional.cross_entropy(student.float(), targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def hidden_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of hidden states, relative to the teacher's mean square.

    Args:
        student: Projected to the teacher's width.
        teacher: Of the same shape.
    """
    wide = teacher.float()
    return functional.mse_loss(student.float(), wide) / wide.square().mean().clamp(min=1e-12)


def attention_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Forward Kullback-Leibler divergence of the maps, averaged over heads, as the numbers of heads differ.

    Args:
        student: Probabilities [batch, heads, n, m].
        teacher: The same with its own number of heads.
    """
    log_student = student.float().mean(1).clamp(min=1e-9).log()
    log_teacher = teacher.float().mean(1).clamp(min=1e-9).log()
    divergence = functional.kl_div(log_student, log_teacher, reduction="none", log_target=True)
    return divergence.sum(-1).mean()
