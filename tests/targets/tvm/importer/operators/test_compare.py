import numpy as np

from tests.targets.support import assert_as_standard, make_component


def test_truth_values_are_compared(build):
    text = "(bool[2,2] x, bool[2] y) => (a, b, c, d) { a = Xor(x, y) b = Equal(x, y) c = And(x, y) d = Or(x, y) }"
    feeds = {"x": np.array([[True, False], [False, True]]), "y": np.array([True, True])}
    assert_as_standard(build(make_component(text)), feeds)
