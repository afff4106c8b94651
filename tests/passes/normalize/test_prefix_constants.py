import numpy as np

from passes.normalize.prefix_constants import PrefixConstants

TEXT = """g (float[2] x, float[2] w) => (float[2] y) { a = Mul(x, w)  y = Add(a, c) }"""


def test_constants_of_rewrites_are_renamed_and_weights_are_not(model_from):
    model = model_from(
        TEXT.replace("float[2] w)", "float[2] w, float[2] c)"),
        {"w": np.ones(2, np.float32), "c": np.ones(2, np.float32)},
    )
    value = model.graph.initializers.pop("c")
    value.name = "add_1/scale_1/constant"
    model.graph.register_initializer(value)
    assert PrefixConstants("decode")(model).modified
    assert sorted(model.graph.initializers) == ["decode/add_1/scale_1/constant", "w"]
    assert not PrefixConstants("decode")(model).modified
