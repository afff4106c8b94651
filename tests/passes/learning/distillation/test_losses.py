import math

import pytest
import torch

from passes.learning.distillation.losses import (
    IGNORED,
    attention_loss,
    hidden_loss,
    logits_loss,
    task_loss,
    top_logits,
)


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(5, 12, generator=generator) for _ in range(2)]


def test_logits_loss_is_the_softened_divergence(rows):
    student, teacher = rows
    p, q = (torch.softmax(x.double() / 2, -1) for x in (teacher, student))
    expected = 4 * (p * (p / q).log()).sum(-1).mean()
    assert logits_loss(student, teacher, 2.0).item() == pytest.approx(expected.item(), rel=1e-5)
    assert logits_loss(teacher, teacher, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_all_top_logits_are_the_whole_distribution(rows):
    student, teacher = rows
    kept = top_logits(teacher, 12, 2.0)
    assert logits_loss(student, kept, 2.0).item() == pytest.approx(
        logits_loss(student, teacher, 2.0).item(), rel=1e-4
    )


def test_few_top_logits_bound_the_divergence_from_below(rows):
    """Joining outcomes never increases a divergence."""
    student, teacher = rows
    whole = logits_loss(student, teacher, 1.0).item()
    divergences = [logits_loss(student, top_logits(teacher, count, 1.0), 1.0).item() for count in (1, 4, 8)]
    assert 0 < divergences[0] <= divergences[1] <= divergences[2] <= whole + 1e-6


def test_task_loss_leaves_out_unknown_answers(rows):
    student = rows[0]
    targets = torch.tensor([3, IGNORED, 0, IGNORED, 11])
    known = [0, 2, 4]
    expected = torch.nn.functional.cross_entropy(student[known], targets[known])
    assert task_loss(student, targets).item() == pytest.approx(expected.item())
    assert task_loss(student, torch.full((5,), IGNORED)).item() == 0


def test_hidden_loss_is_relative(rows):
    student, teacher = rows
    assert hidden_loss(torch.zeros_like(teacher), teacher).item() == pytest.approx(1)
    assert hidden_loss(10 * student, 10 * teacher).item() == pytest.approx(
        hidden_loss(student, teacher).item()
    )


def test_attention_loss_compares_averages_over_heads():
    even, sharp = torch.full((1, 2, 1, 4), 0.25), torch.tensor([[[[1.0, 0, 0, 0]]]])
    assert attention_loss(even, even[:, :1]).item() == pytest.approx(0, abs=1e-6)
    assert attention_loss(even, sharp).item() == pytest.approx(math.log(4), rel=1e-4)
