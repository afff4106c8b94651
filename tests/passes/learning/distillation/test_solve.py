import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npuc.demo import demo_folder
from passes.learning.distillation.families import student_family
from passes.learning.distillation.solve import TOLERANCE, solve, wished_params
from passes.learning.training.errors import TrainingError
from tests.passes.learning.distillation.test_layout import QWEN_4B


def layout_of(config):
    return student_family(config).layout(config)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("1.0B", 1_000_000_000), ("300M", 300_000_000), ("10%", 443_000_000), ("4B", 1_107_500_000)],
)
def test_a_wish_is_a_number_or_a_share_and_never_more_than_the_largest_share(wish, expected):
    assert wished_params(wish, 4_430_000_000, 0.25) == expected


def test_an_unknown_wish_is_refused():
    with pytest.raises(TrainingError, match="not understood"):
        wished_params("small", 100, 0.25)


def test_the_1b_student_of_the_4b():
    layout = layout_of(QWEN_4B)
    solution = solve(layout, 1_000_000_000)
    assert abs(solution.params - 10**9) <= TOLERANCE * 10**9
    assert solution.params == layout.count(solution.dimensions) == sum(solution.counts.values())
    chosen = solution.dimensions
    assert chosen["text_width"] % 128 == chosen["text_mlp"] % 128 == chosen["vision_width"] % 128 == 0
    assert chosen["vision_width"] == 64 * chosen["vision_heads"]
    # depth shrinks less than width
    assert chosen["text_layers"] / 36 > chosen["text_width"] / 2560
    assert solution.counts["vision"] / solution.params == pytest.approx(0.0936, abs=0.01)


def test_the_vision_towers_share_is_a_wish_too():
    solution = solve(layout_of(QWEN_4B), 10**9, {"vision": 0.2})
    assert solution.counts["vision"] / solution.params == pytest.approx(0.2, abs=0.02)
    assert abs(solution.params - 10**9) <= TOLERANCE * 10**9


@settings(max_examples=12, deadline=None)
@given(st.floats(0.1, 0.9))
def test_every_share_of_the_reference_model_has_a_student(share):
    config = json.loads((demo_folder() / "config.json").read_text())
    layout = layout_of(config)
    wished = round(share * layout.count())
    solution = solve(layout, wished)
    assert abs(solution.params - wished) <= TOLERANCE * wished
    assert solution.dimensions["width"] == 16 * solution.dimensions["heads"]


def test_a_student_that_cannot_exist_names_the_nearest():
    with pytest.raises(TrainingError, match="no student of this size") as caught:
        solve(layout_of(QWEN_4B), 1_000_000)
    assert "nearest" in caught.value.received
