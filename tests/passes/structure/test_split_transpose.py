import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passes.structure.split_transpose import SplitTranspose, merge_axes

TEXT = "g (float[{shape}] x) => (float[{moved}] y) {{ y = Transpose<perm=[{perm}]>(x) }}"


def text_of(shape, permutation):
    join = lambda values: ",".join(str(value) for value in values)  # noqa: E731
    return TEXT.format(
        shape=join(shape), moved=join(shape[axis] for axis in permutation), perm=join(permutation)
    )


def test_neighbours_and_single_axes_leave_one_transpose(model_from, same_graph, parity):
    text = text_of((1, 3, 2, 2, 4, 2, 2), (0, 4, 1, 2, 3, 5, 6))
    before, model = model_from(text), model_from(text)
    assert SplitTranspose()(model).modified
    expected = """g (float[1,3,2,2,4,2,2] x) => (float[1,4,3,2,2,2,2] y)
    <int64[3] merged = {12, 4, 4}, int64[7] shape = {1, 4, 3, 2, 2, 2, 2}>
    { m = Reshape(x, merged)  t = Transpose<perm=[1, 0, 2]>(m)  y = Reshape(t, shape) }"""
    same_graph(model, model_from(expected))
    parity(before, model, atol=0)


def test_pixels_to_patches(model_from, parity):
    text = text_of((2, 3, 2, 4, 2, 5), (0, 3, 1, 5, 2, 4))
    before, model = model_from(text), model_from(text)
    SplitTranspose()(model)
    ranks = [len(node.inputs[0].shape) for node in model.graph if node.op_type == "Transpose"]
    assert ranks and max(ranks) <= 5
    parity(before, model, atol=0)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 2, 4, 2)])
def test_fewer_axes_stay(shape, model_from):
    assert not SplitTranspose()(model_from(text_of(shape, tuple(reversed(range(len(shape))))))).modified


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=6, max_size=7), st.randoms(use_true_random=False))
def test_merged_axes_are_the_same_permutation(shape, random):
    permutation = list(range(len(shape)))
    random.shuffle(permutation)
    sizes, order = merge_axes(shape, permutation)
    x = np.arange(math.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(x.reshape(sizes).transpose(order).ravel(), x.transpose(permutation).ravel())
    assert all(second != first + 1 for first, second in itertools.pairwise(order))
