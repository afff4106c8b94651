import numpy as np
import pytest

from passes.normalize.split_gemm import SplitGemm

BEFORE = """g (float[2,3] x, float[4,3] w, float[4] b) => (float[2,4] y) { y = Gemm<transB=1>(x, w, b) }"""
EXPECTED = """g (float[2,3] x, float[4,3] w, float[4] b) => (float[2,4] y)
{ t = Transpose<perm=[1,0]>(w)  m = MatMul(x, t)  y = Add(m, b) }"""


def test_becomes_product_and_sum(model_from, same_graph, parity):
    model = model_from(BEFORE)
    assert SplitGemm()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(model_from(BEFORE), model)


@pytest.mark.parametrize("flags", ["alpha=0.5", "beta=2.0", "transA=1", "alpha=0.5, beta=0.25, transB=1"])
def test_attributes(flags, model_from, parity):
    x = "float[3,2]" if "transA" in flags else "float[2,3]"
    w = "float[4,3]" if "transB" in flags else "float[3,4]"
    text = f"g ({x} x, {w} w, float[4] b) => (float[2,4] y) {{ y = Gemm<{flags}>(x, w, b) }}"
    model = model_from(
        text, {"w": np.random.default_rng(0).random((4, 3) if "transB" in flags else (3, 4), np.float32)}
    )
    before = model_from(text, {"w": model.graph.initializers["w"].const_value.numpy()})
    SplitGemm()(model)
    parity(before, model)


def test_a_product_of_integers_keeps_its_operator(model_from):
    model = model_from("g (int32[2,3] x, int32[3,4] w) => (int32[2,4] y) { y = Gemm<alpha=0.5>(x, w) }")
    assert not SplitGemm()(model).modified
