import itertools

import numpy as np
import pytest
import torch

from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from npuc.demo.batches import ANSWER_LENGTH, IGNORED, BatchSource, encode_answer
from npuc.demo.questions import Kind, solve
from npuc.demo.tokenizer import build_tokenizer
from npuc.demo.train import reference_config
from npuc.demo.training import (
    TrainingSettings,
    build_model,
    learning_rate_factor,
    train_model,
)

SETTINGS = TrainingSettings(steps=12, pairs=8, variants=2, warmup=3, seed=3)


def draw_batches(corpus, settings=SETTINGS):
    return BatchSource(
        corpus,
        Preprocessor(),
        build_tokenizer(),
        pairs=settings.pairs,
        variants=settings.variants,
        seed=settings.seed,
    )


def run_training(corpus):
    torch.set_num_threads(1)
    model = build_model(reference_config(Preprocessor(), build_tokenizer()), SETTINGS.seed)
    reports = []
    train_model(model, draw_batches(corpus), SETTINGS, reports.append)
    return model, reports


@pytest.fixture(scope="module")
def trained(corpus):
    return run_training(corpus)


def test_a_few_steps_decrease_the_loss(trained):
    losses = [report.answer for report in trained[1]]
    assert len(losses) == SETTINGS.steps
    assert np.mean(losses[-3:]) < 0.75 * losses[0]


def test_training_twice_gives_the_same_bytes(corpus, trained):
    model, reports = run_training(corpus)
    assert reports == trained[1]
    for name, tensor in trained[0].state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_a_batch_asks_every_question_on_every_pair(corpus):
    batch = next(iter(draw_batches(corpus)))
    assert batch.pixels.shape == (8, 1, 32, 64)
    assert batch.mel.shape == (8, 48, 128)
    assert batch.question_ids.shape == (len(Kind), 16)
    assert batch.question_masks.shape == (len(Kind), 1, 1, 16)
    assert batch.inputs.shape == batch.targets.shape == (8 * len(Kind), ANSWER_LENGTH)
    assert set(zip(batch.pair.tolist(), batch.question.tolist(), strict=True)) == set(
        itertools.product(range(8), range(len(Kind)))
    )
    assert batch.shown.min() >= 10


def test_the_answers_of_a_batch_are_right(corpus):
    tokenizer = build_tokenizer()
    batch = next(iter(draw_batches(corpus)))
    for pair, question, targets in zip(batch.pair, batch.question, batch.targets, strict=True):
        digits = [int(token) for token in targets if token not in (IGNORED, tokenizer.token_to_id("</s>"))]
        expected = solve(list(Kind)[question], int(batch.shown[pair]), int(batch.said[pair]))
        assert tokenizer.decode(digits) == str(expected)


def test_batches_are_repeatable(corpus):
    for first, second in itertools.islice(zip(draw_batches(corpus), draw_batches(corpus), strict=True), 2):
        for name, values in vars(first).items():
            np.testing.assert_array_equal(values, getattr(second, name))


def test_encode_answer():
    tokenizer = build_tokenizer()
    inputs, targets = encode_answer(tokenizer, "42")
    names = [tokenizer.id_to_token(token) for token in inputs]
    assert names == ["<s>", "4", "2", "</s>"]
    assert [tokenizer.id_to_token(token) for token in targets[:3]] == ["4", "2", "</s>"]
    assert targets[3] == IGNORED


def test_the_learning_rate_rises_then_falls_to_zero():
    settings = TrainingSettings(steps=100, warmup=10)
    factors = [learning_rate_factor(step, settings) for step in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == factors[10] == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(factors[10:]))
