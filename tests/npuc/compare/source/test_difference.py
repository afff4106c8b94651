import math

import numpy as np
import pytest

from npuc.compare.source.difference import Difference, differences


def difference(expected, actual):
    return differences({"y": np.asarray(expected)}, {"y": np.asarray(actual)})["y"]


def test_the_largest_difference_and_the_scale_of_the_reference():
    found = difference([1.0, -4.0], [1.5, -4.1])
    assert (found.absolute, found.scale) == (0.5, 4.0)
    assert found.relative() == 0.125
    assert found.relative(10.0) == 0.05


def test_nothing_differs_from_nothing():
    assert difference([0.0], [0.0]).relative() == 0
    assert difference([0.0], [1e-9]).relative() == math.inf
    assert Difference(1e-9, 0.0).relative(1.0) == 1e-9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_to_stand_at_the_same_places(value):
    assert difference([1.0, value], [1.0, value]).absolute == 0
    assert difference([1.0, value], [value, 1.0]).absolute == math.inf
    assert difference([1.0, 2.0], [1.0, value]).absolute == math.inf


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_integers_and_bools_are_equal_or_not(dtype):
    assert difference(np.array([0, 1], dtype), np.array([0, 1], dtype)).absolute == 0
    assert difference(np.array([0, 1], dtype), np.array([1, 1], dtype)).absolute == math.inf


def test_another_shape_differs():
    assert difference([1.0], [[1.0]]).absolute == math.inf
