"""Remainders and powers against the standard's own evaluator."""

import numpy as np

from tests.targets.support import assert_as_standard, make_component

INF = np.inf


def test_remainders_of_floats(build):
    text = "(float[12] x, float[12] y) => (a, b) { a = Mod<fmod=1>(x, y) b = Mod(x, y) }"
    feeds = {
        "x": np.array([-4.3, 7.2, 5.0, 4.3, -7.2, 8.0, 1e7, 0.3, 6, -6, 0.9999999, 3], np.float32),
        "y": np.array([2.1, -3.4, 8.0, -2.1, 3.4, 5.0, 0.3, 0.1, 3, 3, 0.1, -INF], np.float32),
    }
    component = make_component(text)
    built = build(component)
    actual = built.run(feeds)
    np.testing.assert_array_equal(actual["a"], np.fmod(feeds["x"], feeds["y"]))
    np.testing.assert_allclose(actual["b"], np.mod(feeds["x"], feeds["y"]), rtol=1e-6)


def test_powers_of_integers_are_exact(build):
    text = """(int64[8] x, int64[8] y, int32[8] i, float[8] f) => (a, b, c, d) {
        a = Pow(x, y) b = Pow(i, f) c = Pow(i, three) d = Pow(i, root) }"""
    feeds = {
        "x": np.array([3, 2, -3, 10, -1, 1, 7, 0]),
        "y": np.array([39, 62, 13, 18, 7, 60, 22, 0]),
        "i": np.array([3, 5, 10, -2, 46340, 7, 4, 9], np.int32),
        "f": np.array([13, 11, 9, 31, 2, 0.5, 2.5, 0], np.float32),
    }
    constants = {"three": np.array(3.0, np.float32), "root": np.array(0.5, np.float32)}
    built = build(make_component(text, constants))
    actual = built.run({**feeds, "i": np.abs(feeds["i"])})
    np.testing.assert_array_equal(actual["a"], feeds["x"] ** feeds["y"])
    whole = np.array([3**13, 5**11, 10**9, 2**30 * 2 - 2**31, 46340**2, 2, 32, 1])
    positions = [0, 1, 2, 4, 5, 6, 7]
    np.testing.assert_array_equal(actual["b"][positions], whole[positions])
    np.testing.assert_array_equal(actual["d"], np.floor(np.sqrt(np.abs(feeds["i"]))))


def test_negative_powers_of_integers_are_cut_off(build):
    built = build(make_component("(int64[5] x, int64[5] y) => (a) { a = Pow(x, y) }"))
    feeds = {"x": np.array([2, -1, 1, -1, 5]), "y": np.array([-1, -3, -2, -2, -3])}
    np.testing.assert_array_equal(built.run(feeds)["a"], [0, -1, 1, 1, 0])


def test_one_operand_is_handed_on(build):
    text = "(float[4] x) => (a, b, c, d, e) { a = Max(x) b = Min(x) c = Sum(x) d = Clip(x) e = Identity(x) }"
    assert_as_standard(build(make_component(text)), {"x": np.array([-1, 0, np.nan, INF], np.float32)})
