import pytest

from passes.learning.training.data.strength_schedule import OFF, StrengthSchedule
from passes.learning.training.errors import TrainingError


def test_a_ramp_is_held_at_both_ends():
    ramp = StrengthSchedule(0.2, 1.0, first_step=10, last_step=20)
    assert [ramp.strength(step) for step in (0, 10, 15, 20, 99)] == pytest.approx([0.2, 0.2, 0.6, 1.0, 1.0])


def test_a_cosine_ramp_starts_and_ends_slowly():
    ramp = StrengthSchedule(0.0, 1.0, 0, 100, "cosine")
    assert ramp.strength(10) < 0.05 and ramp.strength(90) > 0.95
    assert ramp.strength(50) == pytest.approx(0.5)


def test_constants_and_jumps():
    assert StrengthSchedule().strength(7) == 1
    assert OFF.strength(7) == 0
    jump = StrengthSchedule(0.0, 1.0, 5, 5)
    assert (jump.strength(4), jump.strength(5)) == (0, 1)


@pytest.mark.parametrize("wrong", [(1.1, 1.0, 0, 0), (0.0, -0.1, 0, 0), (0.0, 1.0, 5, 4), (0.0, 1.0, -1, 4)])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(TrainingError):
        StrengthSchedule(*wrong)
