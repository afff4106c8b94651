import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.families.multimodal_transformer.splits import Split
from npuc.demo.questions import (
    MAX_WORDS,
    Kind,
    all_wordings,
    draw_question,
    drop_words,
    solve,
)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Kind.SHOWN, 42),
        (Kind.SAID, 63),
        (Kind.SUM, 105),
        (Kind.DIFFERENCE, 21),
        (Kind.LARGER, 63),
        (Kind.SMALLER, 42),
    ],
)
def test_solve(kind, answer):
    assert solve(kind, 42, 63) == answer


@pytest.mark.parametrize("pair", itertools.combinations(Split, 2))
def test_wordings_of_two_splits_are_disjoint(pair):
    first, second = (set(all_wordings(split)) for split in pair)
    assert not first & second


def test_no_test_question_is_a_training_question():
    rng = np.random.default_rng(0)
    drawn = {
        split: {draw_question(kind, split, rng) for kind in Kind for _ in range(1500)} for split in Split
    }
    assert not drawn[Split.TEST] & drawn[Split.TRAIN]
    assert not drawn[Split.CALIBRATION] & drawn[Split.TRAIN]
    assert len(drawn[Split.TRAIN]) > 1000


@given(st.sampled_from(Kind), st.sampled_from(Split), st.integers(0, 1000))
def test_questions_are_filled_and_short(kind, split, seed):
    question = draw_question(kind, split, np.random.default_rng(seed))
    assert "{" not in question
    assert 0 < len(question.split()) <= MAX_WORDS


def test_word_dropout_never_leaves_nothing():
    rng = np.random.default_rng(0)
    assert drop_words("what is the sum?", 1.0, rng) == "what is the sum?"
    assert drop_words("what is the sum?", 0.0, rng) == "what is the sum?"
    lengths = {len(drop_words("a b c d e f", 0.5, rng).split()) for _ in range(50)}
    assert len(lengths) > 2
