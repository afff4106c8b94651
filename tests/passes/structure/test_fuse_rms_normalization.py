import numpy as np
import pytest

from passes.float.convert_float16 import ConvertFloat16
from passes.normalize.decompose.decompose_rms_normalization import DecomposeRmsNormalization
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.structure.fuse_rms_normalization import FuseRmsNormalization

FUSED = (
    "g (float[2,3,8] x, float[8] w) => (float[2,3,8] y) { y = RMSNormalization<axis=-1, epsilon=1e-5>(x, w) }"
)


def with_weight(model_from, text, dtype="float32"):
    return model_from(text, {"w": np.random.default_rng(0).normal(1, 0.1, 8).astype(dtype)})


@pytest.mark.parametrize("half", [False, True])
def test_what_was_decomposed_is_fused_again(half, model_from, same_graph, parity):
    model = with_weight(model_from, FUSED)
    DecomposeRmsNormalization()(model)
    if half:
        ConvertFloat16()(model)
    before = model.clone()
    assert FuseRmsNormalization()(model).modified
    EliminateDeadNodes()(model)
    kind = "float16" if half else "float"
    text = f"""g ({kind}[2,3,8] x, {kind}[8] w) => ({kind}[2,3,8] y)
    {{ y = RMSNormalization<axis=2, epsilon=1e-5, stash_type=1>(x, w) }}"""
    same_graph(model, with_weight(model_from, text, "float16" if half else "float32"))
    parity(before, model, atol=2e-3 if half else 1e-5)


@pytest.mark.parametrize(
    "body",
    [
        "s = Mul(x, x)  m = ReduceMean<keepdims=1>(s, first)  a = Add(m, e)  r = Sqrt(a)  q = Div(x, r)  y = Mul(q, w)",
        "s = Mul(x, z)  m = ReduceMean<keepdims=1>(s, last)  a = Add(m, e)  r = Sqrt(a)  q = Div(x, r)  y = Mul(q, w)",
        "s = Mul(x, x)  m = ReduceMean<keepdims=1>(s, last)  a = Add(m, e)  r = Sqrt(a)  q = Div(z, r)  y = Mul(q, w)",
        "s = Mul(x, x)  m = ReduceMean<keepdims=1>(s, last)  a = Add(m, e)  r = Sqrt(a)  q = Div(x, r)  y = Mul(q, r)",
    ],
)
def test_look_alikes_stay(body, model_from):
    text = f"""g (float[2,3,8] x, float[2,3,8] z, float[8] w) => (float[2,3,8] y)
    <int64[1] last = {{2}}, int64[1] first = {{1}}, float e = {{1e-6}}> {{ {body} }}"""
    assert not FuseRmsNormalization()(with_weight(model_from, text)).modified


def test_a_scale_of_another_shape_stays(model_from):
    text = """g (float[2,3,8] x, float[1] w) => (float[2,3,8] y) <int64[1] last = {2}, float e = {1e-6}>
    { s = Mul(x, x)  m = ReduceMean<keepdims=1>(s, last)  a = Add(m, e)  r = Sqrt(a)  q = Div(x, r)  y = Mul(q, w) }"""
    assert not FuseRmsNormalization()(model_from(text, {"w": np.ones(1, np.float32)})).modified
