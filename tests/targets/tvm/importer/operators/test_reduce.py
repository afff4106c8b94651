"""Reductions of what is easily got wrong: nothing, infinities, NaN, truth values, large powers."""

import numpy as np
import pytest

from targets.errors import TargetError
from tests.targets.support import assert_as_standard, make_component

INF, NAN = np.inf, np.nan
FLOATS = np.array([[-INF, -INF, -INF], [INF, 1, 2], [NAN, 1, 2], [1, 2, NAN], [-INF, -1, -2]], np.float32)
LAST = {"last": np.array([-1])}


def test_infinities_and_nan_are_handed_on(build):
    text = """(float[5,3] x) => (a, b) { a = ReduceMax(x, last) b = ReduceMin<keepdims=0>(x, last) }"""
    assert_as_standard(build(make_component(text, LAST)), {"x": FLOATS})


def test_truth_values_and_integers(build):
    text = """(bool[2,3] x, int32[2,3] i, uint8[2,3] u, int64[2,3] l) => (a, b, c, d, e) {
        a = ReduceMax(x, last) b = ReduceMin<keepdims=0>(x) c = ReduceMax(i, last) d = ReduceMin(u)
        e = ReduceMean(l, last) }"""
    feeds = {
        "x": np.array([[True, False, False], [False, False, False]]),
        "i": np.array([[-(2**31), -5, -7], [3, 1 - 2**15, 2]], np.int32),
        "u": np.array([[7, 255, 9], [8, 3, 200]], np.uint8),
        "l": np.array([[-7, 2, 1], [2**40, 1, 5]]),
    }
    assert_as_standard(build(make_component(text, LAST)), feeds)


def test_nothing_is_reduced_to_the_neutral_element(build):
    kinds = ["Sum", "Prod", "Max", "Min", "L1", "L2", "SumSquare", "LogSum", "LogSumExp"]
    nodes = " ".join(f"y{i} = Reduce{kind}(x, middle)" for i, kind in enumerate(kinds))
    outputs = ", ".join(f"y{i}" for i in range(len(kinds)))
    component = make_component(
        f"(float[2,0,4] x, int32[0] n) => ({outputs}, z) {{ {nodes} z = ReduceMax<keepdims=0>(n) }}",
        {"middle": np.array([1])},
    )
    feeds = {"x": np.zeros((2, 0, 4), np.float32), "n": np.zeros(0, np.int32)}
    assert_as_standard(build(component), feeds)


def test_no_axes_may_mean_no_reduction(build):
    kinds = ["Sum", "L1", "SumSquare", "LogSum", "LogSumExp", "Max"]
    nodes = " ".join(f"y{i} = Reduce{kind}<noop_with_empty_axes=1>(x)" for i, kind in enumerate(kinds))
    outputs = ", ".join(f"y{i}" for i in range(len(kinds)))
    component = make_component(f"(float[2,3] x) => ({outputs}) {{ {nodes} }}")
    assert_as_standard(build(component), {"x": np.array([[1, 2, 3], [0.5, 4, 7]], np.float32)}, rtol=1e-5)


def test_large_powers_do_not_overflow(build):
    rows = np.array([[200, 201, 199], [-300, -301, -INF], [-INF, -INF, -INF], [INF, 0, 1]], np.float32)
    built = build(make_component("(float[4,3] x) => (y) { y = ReduceLogSumExp<keepdims=0>(x, last) }", LAST))
    largest = np.array([201, -300, 0, 0], np.float32)[:, None]
    expected = np.log(np.exp(rows.astype(np.float64) - largest).sum(-1, keepdims=True)) + largest
    np.testing.assert_allclose(built.run({"x": rows})["y"], expected[:, 0], rtol=1e-6)


def test_roots_of_integers_are_refused_by_name(build):
    with pytest.raises(TargetError, match=r"ReduceL2 cannot be lowered.*INT32"):
        build(make_component("(int32[2,3] x) => (y) { y = ReduceL2(x, last) }", LAST))
