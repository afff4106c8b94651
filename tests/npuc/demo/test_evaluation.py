import numpy as np
import pytest
from PIL import Image

from npuc.demo.evaluation import Ablation, ablate, evaluate
from npuc.demo.questions import Kind
from program.program import Request


@pytest.fixture
def request_with_everything():
    return Request("what?", Image.new("L", (4, 2), 9), np.ones(5, np.float32), 8000, answer="7")


def test_each_ablation_changes_one_input(request_with_everything):
    whole = request_with_everything
    assert ablate(whole, Ablation.NONE) == whole
    assert ablate(whole, Ablation.IMAGE).image.getextrema() == (0, 0)
    assert not ablate(whole, Ablation.AUDIO).audio.any()
    assert ablate(whole, Ablation.QUESTION).prompt == "?"
    assert ablate(whole, Ablation.AUDIO).image is whole.image


def test_scores_count_exact_answers_by_kind():
    requests = [Request("q", answer=answer) for answer in ("1", "2", "3", "4")]
    kinds = [Kind.SUM, Kind.SUM, Kind.SAID, Kind.SHOWN]
    score = evaluate(lambda asked: ["1", "x", "3", "44"], requests, kinds)
    assert (score.exact_match, score.count) == (0.5, 4)
    assert score.by_kind["sum"] == 0.5
    assert score.by_kind["said"] == 1.0
    assert score.by_kind["shown"] == 0.0
