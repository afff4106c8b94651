"""Requantisation: exact, and near the real product."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.errors import TargetError
from targets.snapdragon.hexagon.program.fixed_point import fixed_point_scale

factors = st.floats(1e-6, 100.0).flatmap(lambda f: st.sampled_from([f, -f]))


@given(st.lists(factors, min_size=1, max_size=4), st.integers(-(2**20), 2**20))
def test_scaled_value_is_the_rounded_product_with_the_stored_factor(values, x):
    scale = fixed_point_scale(values)
    actual = scale.apply(np.full((len(values), 1), x))
    for i, multiplier in enumerate(scale.multiplier):
        factor = Fraction(int(multiplier)) * Fraction(2) ** (
            scale.left_shift - 31 - int(scale.right_shift[i])
        )
        assert actual[i, 0] == floor(factor * x + Fraction(1, 2))


@given(factors)
def test_stored_factor_has_full_precision(value):
    scale = fixed_point_scale([value])
    stored = float(scale.multiplier[0]) * 2.0 ** (scale.left_shift - 31 - float(scale.right_shift[0]))
    assert abs(stored / value - 1) < 2**-16
    assert 1 <= scale.right_shift[0] <= 31


def test_halves_are_rounded_upwards():
    scale = fixed_point_scale([0.25])
    assert scale.apply(np.array([[2, -2, 6, -6]])).tolist() == [[1, 0, 2, -1]]


@pytest.mark.parametrize("factor", [2.0**20, np.inf, np.nan])
def test_factor_out_of_range_is_refused(factor):
    with pytest.raises(TargetError, match="out of range"):
        fixed_point_scale([factor])


def test_sums_that_may_overflow_are_refused():
    scale = fixed_point_scale([0.1])
    scale.require_headroom(2**30 - 1, "conv")
    with pytest.raises(TargetError, match="may overflow"):
        scale.require_headroom(2**30, "conv")
