import numpy as np

from tests.targets.support import assert_as_standard, make_component


def test_positions_in_large_integers_and_infinities(build):
    text = """(int64[2,3] i, float[2,3] x, uint8[2,3] u) => (a, b, c, d, e) {
        a = ArgMax<axis=1>(i) b = ArgMin<axis=1>(i) c = ArgMax<axis=1, select_last_index=1>(x) d = ArgMin<axis=1>(x)
        e = ArgMin<axis=0, keepdims=0>(u) }"""
    feeds = {
        "i": np.array([[2**53, 2**53 + 1, 2**53 - 1], [-5, -(2**62) - 1, -(2**62)]]),
        "x": np.array([[-np.inf, -np.inf, -np.inf], [np.inf, 1, np.inf]], np.float32),
        "u": np.array([[0, 255, 3], [1, 200, 3]], np.uint8),
    }
    assert_as_standard(build(make_component(text)), feeds)
