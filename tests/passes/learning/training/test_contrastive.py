import math

import pytest
import torch

from passes.learning.training.contrastive import ContrastiveLoss
from passes.learning.training.errors import TrainingError


def reference(a, b, scale):
    """CLIP's pseudo code, figure 3 of arXiv 2103.00020."""
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    logits, labels = scale * a @ b.T, torch.arange(len(a))
    loss = torch.nn.functional.cross_entropy
    return (loss(logits, labels) + loss(logits.T, labels)) / 2


@pytest.fixture
def embeddings():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(6, 8, generator=generator) for name in ("image", "audio", "text")}


def test_every_pair_has_the_loss_of_clip(embeddings):
    losses = ContrastiveLoss()(embeddings)
    assert list(losses) == ["image-audio", "image-text", "audio-text"]
    for pair, loss in losses.items():
        first, second = pair.split("-")
        torch.testing.assert_close(loss, reference(embeddings[first], embeddings[second], 1 / 0.07))


def test_aligned_embeddings_cost_nothing_and_the_temperature_learns():
    loss = ContrastiveLoss(temperature=0.5)
    same = {"image": torch.eye(6), "text": torch.eye(6)}
    before = loss(same)["image-text"]
    optimizer = torch.optim.SGD(loss.parameters(), lr=5.0)
    for _ in range(50):
        optimizer.zero_grad()
        loss(same)["image-text"].backward()
        optimizer.step()
    assert loss(same)["image-text"] < 0.1 * before
    assert loss.temperature < 0.2


def test_the_scale_is_bounded():
    loss = ContrastiveLoss()
    with torch.no_grad():
        loss.log_scale.fill_(math.log(1e4))
    assert loss.temperature.item() == pytest.approx(0.01)


def test_groups_are_partners_of_each_other():
    apart = {"image": torch.eye(4)[[0, 0, 1, 1]], "text": torch.eye(4)[[0, 0, 1, 1]]}
    loss = ContrastiveLoss(temperature=0.02)
    grouped = loss(apart, groups=torch.tensor([5, 5, 9, 9]))["image-text"]
    assert grouped.item() == pytest.approx(math.log(2), abs=1e-3)  # the entropy of two equal partners
    assert loss(apart)["image-text"].item() == pytest.approx(math.log(2), abs=1e-3)
    wrong = loss(apart, groups=torch.tensor([0, 1, 0, 1]))["image-text"]
    assert wrong > 10


def test_missing_modalities_are_left_out(embeddings):
    present = {"audio": torch.tensor([True, True, True, False, False, False])}
    losses = ContrastiveLoss()(embeddings, present)
    expected = reference(embeddings["image"][:3], embeddings["audio"][:3], 1 / 0.07)
    torch.testing.assert_close(losses["image-audio"], expected)
    torch.testing.assert_close(
        losses["image-text"], reference(embeddings["image"], embeddings["text"], 1 / 0.07)
    )
    alone = ContrastiveLoss()(embeddings, {"audio": torch.zeros(6, dtype=torch.bool)})
    assert list(alone) == ["image-text"]


def test_nothing_to_align_is_refused(embeddings):
    with pytest.raises(TrainingError):
        ContrastiveLoss()({"image": embeddings["image"]})
    with pytest.raises(TrainingError):
        ContrastiveLoss()({name: rows[:1] for name, rows in embeddings.items()})
