import numpy as np

from tests.targets.support import make_component


def test_largest_of_bytes_and_of_infinities(build):
    text = """(uint8[1,1,5,5] u, int8[1,1,5,5] s, float[1,1,5,5] x) => (a, b, c, d) {
        a = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(u) b = MaxPool<kernel_shape=[2,2], pads=[0,0,1,1]>(s)
        c = MaxPool<kernel_shape=[3,3]>(x) d = GlobalMaxPool(x) }"""
    rng = np.random.default_rng(2)
    feeds = {
        "u": rng.integers(0, 9, (1, 1, 5, 5)).astype(np.uint8),
        "s": rng.integers(-128, -99, (1, 1, 5, 5)).astype(np.int8),
        "x": np.full((1, 1, 5, 5), -np.inf, np.float32),
    }
    built = build(make_component(text))
    actual = built.run(feeds)
    for name, expected in built.reference(feeds).items():
        # ONNX Runtime's GlobalMaxPool starts at the smallest finite number
        right = np.full_like(expected, -np.inf) if name == "d" else expected
        np.testing.assert_array_equal(actual[name], right, err_msg=name)
