import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.float.convert_float16 import ConvertFloat16
from passes.normalize.center_variance import CenterVariance
from program.onnx_executor import OnnxExecutor

MEANS = """g (float[3,8] x) => (float[3,1] y) <int64[1] axes = {-1}> {
  s = Mul(x, x)  mm = ReduceMean(s, axes)  m = ReduceMean(x, axes)  m2 = Mul(m, m)  y = Sub(mm, m2)
}"""
EXPECTED = """g (float[3,8] x) => (float[3,1] y) <int64[1] axes = {-1}, int64[1] own = {1}> {
  s = Mul(x, x)  mm = ReduceMean(s, axes)  m = ReduceMean(x, axes)  m2 = Mul(m, m)
  d = Sub(x, m)  q = Mul(d, d)  y = ReduceMean<keepdims=1>(q, own)
}"""
SUMS = """g (float[3,8] x) => (float[3] y) <int64[1] axes = {1}, float n = {8.0}, float part = {0.125}> {
  s = Mul(x, x)  ss = ReduceSum<keepdims=0>(s, axes)  t = ReduceSum<keepdims=0>(x, axes)
  mm = Mul(part, ss)  m = Div(t, n)  m2 = Mul(m, m)  v = Sub(mm, m2)  y = Relu(v)
}"""
SQUARES = """g (float[2,3,4] x) => (float[2,1,1] y) <int64[2] axes = {1,-1}, float two = {2.0}, float n = {12.0}> {
  ss = ReduceSumSquare(x, axes)  mm = Div(ss, n)  m = ReduceMean(x, axes)  m2 = Pow(m, two)  y = Sub(mm, m2)
}"""


def centred(model_from, text):
    model = model_from(text)
    InferShapes()(model)
    step = CenterVariance()
    assert step(model).modified and len(step.remarks) == 1
    return model


def test_a_variance_from_moments_is_centred(model_from, same_graph):
    same_graph(centred(model_from, MEANS), model_from(EXPECTED))


@pytest.mark.parametrize("text", [MEANS, SUMS, SQUARES])
def test_it_is_the_same_variance(text, model_from, parity):
    parity(model_from(text), centred(model_from, text), atol=1e-5)


@pytest.mark.parametrize("text", [MEANS, SUMS, SQUARES])
def test_a_mean_far_from_zero_leaves_it_right_in_float16(text, model_from):
    model = centred(model_from, text)
    ConvertFloat16()(model)
    shape = tuple(model.graph.inputs[0].shape.numpy())
    x = (100 + np.random.default_rng(0).standard_normal(shape)).astype(np.float16)
    axes = tuple(range(1, len(shape)))
    expected = x.astype(np.float64).var(axis=axes)
    received = OnnxExecutor(model)({"x": x})["y"].astype(np.float64).reshape(-1)
    np.testing.assert_allclose(received, expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("m2 = Mul(m, m)", "m2 = Mul(m, x)"),
        ("m = ReduceMean(x, axes)", "m = ReduceMean(s, axes)"),
        ("m = ReduceMean(x, axes)", "m = ReduceMean<keepdims=0>(x, axes)"),
        ("y = Sub(mm, m2)", "y = Sub(m2, mm)"),
        ("y = Sub(mm, m2)", "y = Add(mm, m2)"),
    ],
)
def test_other_differences_stay(part, other, model_from):
    model = model_from(MEANS.replace(part, other).replace("(float[3,1] y)", "(float y)"))
    assert not CenterVariance()(model).modified


def test_a_factor_that_is_not_the_count_stays(model_from):
    model = model_from(SUMS.replace("{0.125}", "{0.25}"))
    InferShapes()(model)
    assert not CenterVariance()(model).modified
