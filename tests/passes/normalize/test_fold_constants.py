import numpy as np

from passes.normalize.fold_constants import FoldConstants

BEFORE = """g (float[2,6] x) => (float[3,4] y) <int64[1] a = {3}, int64[1] b = {4}>
{ shape = Concat<axis=0>(a, b)  y = Reshape(x, shape) }"""
EXPECTED = "g (float[2,6] x) => (float[3,4] y) <int64[2] s = {3,4}> { y = Reshape(x, s) }"


def test_small_constants_are_evaluated(model_from, same_graph, parity):
    model = model_from(BEFORE)
    assert FoldConstants("vision")(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(model_from(BEFORE), model)


def test_results_are_named_after_the_component(model_from):
    model = model_from(BEFORE)
    FoldConstants("vision")(model)
    (reshape,) = model.graph
    assert reshape.inputs[1].name.startswith("vision/")


def test_large_weights_are_left_alone(model_from):
    text = "g (float[2,64] x, float[64,64] w) => (float[2,64] y) { t = Transpose<perm=[1,0]>(w) y = MatMul(x, t) }"
    model = model_from(text, {"w": np.ones((64, 64), np.float32)})
    FoldConstants("vision", input_limit=1024)(model)
    assert [node.op_type for node in model.graph] == ["Transpose", "MatMul"]


def test_dequantised_weights_are_left_alone(model_from):
    text = """g (float[2] x) => (float[2] y) <int8[2] q = {1,2}, float s = {0.5}>
    { w = DequantizeLinear(q, s) y = Add(x, w) }"""
    model = model_from(text)
    FoldConstants("vision")(model)
    assert [node.op_type for node in model.graph] == ["DequantizeLinear", "Add"]


def test_a_causal_mask_larger_than_the_limit_of_weights_is_evaluated(model_from, parity):
    text = """g (float[128,128] x) => (float[128,128] y)
    <int64[2] shape = {128,128}, int64 one = {1}, float least = {-10000}>
    { full = Expand(least, shape) mask = Trilu<upper=1>(full, one) y = Add(x, mask) }"""
    model = model_from(text)
    FoldConstants("text")(model)
    assert [node.op_type for node in model.graph] == ["Add"]
    parity(model_from(text), model)


def test_an_output_that_is_constant_keeps_its_name(model_from, parity):
    text = "g (float[2] x) => (float[2] y, float[2] z) <float[2] a = {1,2}> { z = Add(a, a) y = Mul(x, z) }"
    model = model_from(text)
    assert FoldConstants("vision")(model).modified
    assert [value.name for value in model.graph.outputs] == ["y", "z"]
    assert [node.op_type for node in model.graph] == ["Mul", "Identity"]
    assert all(name.startswith("vision/") for name in model.graph.initializers if name != "a")
    parity(model_from(text), model)
