import pytest

from passes.learning.training.errors import TrainingError
from passes.learning.training.options import TrainingOptions


def test_learning_rate_rises_linearly_then_falls_as_a_cosine():
    options = TrainingOptions(steps=110, learning_rate=1.0, warmup_steps=10, final_share=0.1)
    rates = [options.learning_rate_at(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[109] == pytest.approx(0.1, abs=1e-3)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("accumulation", 0), ("final_share", 1.5), ("seed", -1), ("clip_norm", 0)],
)
def test_values_out_of_range_are_named(name, value):
    with pytest.raises(TrainingError, match=name):
        TrainingOptions(**{"steps": 5, name: value})


def test_where_checkpoints_lie_decides_nothing(tmp_path):
    assert TrainingOptions(5).decisive() == TrainingOptions(5, checkpoints=tmp_path).decisive()
