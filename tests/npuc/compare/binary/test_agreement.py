import math

import numpy as np
import pytest

from npuc.compare.binary.agreement import Bound, Reference, bound_for, compare, compare_apart, npu_bound
from npuc.settings.recipe import Gates


def _constant(value):
    return lambda _feeds: {"y": np.asarray(value, np.float32)}


def test_equal_outputs_are_exact():
    result = compare(Reference(_constant([1, 2])), _constant([1, 2]), [{}], Bound(max_relative_error=1e-4))
    assert result.passed
    assert result.sqnr is None
    assert result.max_relative_error == 0


def test_error_is_relative_to_the_largest_value():
    result = compare(Reference(_constant([0, 10])), _constant([1, 10]), [{}], Bound(max_relative_error=0.05))
    assert result.max_relative_error == pytest.approx(0.1)
    assert result.sqnr == pytest.approx(20)
    assert not result.passed


@pytest.mark.parametrize("bad", [[math.nan, 1], [math.inf, 1], [1, 2, 3]])
@pytest.mark.parametrize("bound", [Bound(max_relative_error=1e9), Bound(min_sqnr=1e-9)])
def test_nan_infinity_and_wrong_shape_never_pass(bad, bound):
    assert not compare(Reference(_constant([1, 2])), _constant(bad), [{}], bound).passed


def test_one_bad_sample_among_good_ones_fails():
    outputs = iter([[1.0, 1.0], [1.0, 9.0]])
    result = compare(
        Reference(_constant([1, 1])),
        lambda _feeds: {"y": np.array(next(outputs))},
        [{}, {}],
        Bound(max_relative_error=0.1),
    )
    assert not result.passed


def test_noise_of_an_npu_adds_up_over_layers():
    gates = Gates()
    assert npu_bound("float16", gates).min_sqnr == 55
    assert npu_bound("16 bit", gates, layers=10).min_sqnr == 40
    assert npu_bound("8 bit", gates, layers=2).min_sqnr == pytest.approx(27, abs=0.1)


def test_bound_follows_the_least_precise_format():
    gates = Gates()
    assert bound_for(["float16", "e5m2"], "float16", gates).min_sqnr == gates.min_sqnr_fp8
    assert bound_for(["float16"], "float16", gates).max_relative_error == gates.max_relative_error_float16
    assert bound_for([], "float32", gates).max_relative_error == 1e-4
    assert bound_for(["int8", "e5m2"], "float16", gates).min_sqnr == gates.min_sqnr_npu_8_bit


def test_a_bound_may_ask_for_every_bit_of_an_exact_reference():
    bound = Bound(min_sqnr=20, exact=True)
    near, same = [1.0, 2.001], [1.0, 2.0]
    assert Bound.of(bound.record()) == bound
    assert compare(Reference(_constant(same), _constant(near)), _constant(near), [{}], bound).passed
    assert not compare(Reference(_constant(same), _constant(same)), _constant(near), [{}], bound).passed
    assert not compare(
        Reference(_constant(same)), _constant(same), [{}], bound
    ).passed  # nothing to compare the bits with
    assert not compare(
        Reference(_constant(same), _constant([9.0, 9.0])), _constant([9.0, 9.0]), [{}], bound
    ).passed


@pytest.mark.parametrize(("at_edge", "passed"), [(1.2, True), (2.0, False)])
def test_samples_at_the_edge_have_a_bound_of_their_own(at_edge, passed):
    def candidate(feed):
        return {"y": feed["x"] * (at_edge if feed["x"][0] == 7 else 1.0001)}

    feeds = [{"x": np.full(2, value, np.float32)} for value in (1, 2, 7)]
    result = compare_apart(Reference(lambda feed: {"y": feed["x"]}), candidate, feeds, 2, Bound(min_sqnr=50))
    assert result.passed is passed
    assert str(result.bound) == ("SQNR >= 50 dB" if passed else "SQNR >= 10 dB")
    if passed:
        assert result.samples == 3
        assert result.sqnr == pytest.approx(80, abs=0.5)


@pytest.mark.parametrize("ordinary", [0, 3])
def test_without_samples_at_the_edge_all_are_held_to_the_bound(ordinary):
    feeds = [{"x": np.full(2, value, np.float32)} for value in (1, 2, 7)]
    result = compare_apart(
        Reference(lambda feed: {"y": feed["x"]}),
        lambda feed: {"y": feed["x"] * 1.1},
        feeds,
        ordinary,
        Bound(min_sqnr=50),
    )
    assert not result.passed
