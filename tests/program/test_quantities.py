"""What is judged together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.agreement import energies, relative_error
from program.quantities import quantities

RNG = np.random.default_rng(0)
BOXES = RNG.uniform(20, 640, (1, 4, 100))
SCORES = RNG.uniform(0, 1, (1, 8, 100)) ** 3
JOINED = np.concatenate([BOXES, SCORES], 1)


def sizes(expected, joints=None):
    return [pair[0].size for pair in quantities(expected, expected, joints or {})]


def test_scores_count_beside_boxes():
    wrong = np.concatenate([BOXES, SCORES[:, ::-1]], 1)
    assert relative_error(JOINED, wrong) > 0.9
    assert min(energy.ratio for energy in energies(JOINED, wrong)) < 10
    assert sizes(JOINED) == [400, 800]


def test_boxes_of_few_pixels_and_scores_are_told_apart_where_the_graph_joins_them():
    small = np.concatenate([BOXES / 40, SCORES], 1)
    assert sizes(small) == [1200]
    assert sizes(small, {1: [4]}) == [400, 800]


def test_joined_tensors_of_like_size_are_one_quantity():
    values = RNG.normal(size=(2, 12))
    assert sizes(values, {1: [3, 6, 9]}) == [24]


def test_joints_along_two_axes():
    heads = np.concatenate([JOINED, JOINED * 1.5], 2)
    assert sizes(heads, {1: [4], 2: [100]}) == [800, 1600]


def test_a_channel_that_is_small_by_chance_is_not_judged_alone():
    assert sizes(np.array([[1000.0, 0.01]])) == [2]


def test_small_shares_of_one_are_not_judged_alone():
    shares = RNG.uniform(0.5, 1, (32, 2)) * [1, 1e-4]
    assert sizes(shares) == [64]


def test_zeros_and_what_float32_rounding_may_be_count_beside_the_smallest_quantity():
    values = RNG.uniform(0.5, 1, (32, 4)) * [1e3, 1, 0, 1e-5]
    assert sizes(values) == [32, 96]
    assert sizes(np.zeros((3, 4)), {1: [2]}) == [12]


def test_far_constants_inside_a_joined_tensor():
    masked = np.where(RNG.random((2, 64)) < 0.5, -1e9, RNG.normal(size=(2, 64)))
    values = np.concatenate([masked, RNG.normal(size=(2, 64)) * 1e4], 1)
    hidden = np.count_nonzero(masked == -1e9)
    assert sizes(values, {1: [64]}) == [hidden, 128 - hidden, 128]


@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 4), (2, 0, 3), (1, 1)])
def test_shapes_without_channels(shape):
    values = np.ones(shape)
    assert sum(sizes(values)) == values.size


@given(
    shape=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    exponents=st.lists(st.integers(-12, 12), min_size=6, max_size=6),
    data=st.data(),
)
def test_every_value_is_in_one_quantity(shape, exponents, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = sorted(data.draw(st.sets(st.integers(1, 6), max_size=3)))
    scales = 10.0 ** np.array(exponents[: shape[axis]])
    values = np.moveaxis(np.random.default_rng(1).normal(size=[*shape]), axis, -1) * scales
    values = np.moveaxis(values, -1, axis)
    received = values + 1
    found = quantities(values, received, {axis: [place for place in places if place < shape[axis]]})
    together = np.concatenate([pair[0] for pair in found])
    np.testing.assert_array_equal(np.sort(together), np.sort(values, axis=None))
    np.testing.assert_array_equal(np.concatenate([pair[1] for pair in found]), together + 1)
