import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from targets.snapdragon.htp.legalize.separate_activation import SeparateActivation

WEIGHT = {"w": np.random.default_rng(0).normal(0, 0.3, (8, 8)).astype(np.float16)}
TOP = {"top": np.array(65504, np.float16)}
BIAS = {"b": np.arange(8, dtype=np.float16)}
GRAPH = "g (float16[2,8] x, float16[8,8] w{more}) => (float16[2,8] y) {{ {body} }}"


def made(model_from, body, more="", **weights):
    model = model_from(GRAPH.format(body=body, more=more), WEIGHT | weights)
    InferShapes()(model)
    return model


@pytest.mark.parametrize("activation", ["Sigmoid", "Tanh", "Gelu"])
def test_a_minimum_stands_between(activation, model_from, same_graph, parity):
    before, model = (made(model_from, f"h = MatMul(x, w)  y = {activation}(h)") for _ in range(2))
    assert SeparateActivation()(model).modified
    body = f"h = MatMul(x, w)  m = Min(h, top)  y = {activation}(m)"
    same_graph(model, made(model_from, body, ", float16 top", **TOP))
    parity(before, model, atol=0)


def test_silu_stays_one_pattern(model_from, same_graph, parity):
    body = "h = MatMul(x, w)  k = Add(h, b)  {minimum} s = Sigmoid({k})  y = Mul({k}, s)"
    before, model = (
        made(model_from, body.format(minimum="", k="k"), ", float16[8] b", **BIAS) for _ in range(2)
    )
    SeparateActivation()(model)
    body = body.format(minimum="m = Min(k, top)", k="m")
    same_graph(model, made(model_from, body, ", float16[8] b, float16 top", **BIAS, **TOP))
    parity(before, model, atol=0)


@pytest.mark.parametrize(
    "body", ["h = MatMul(w, x)  y = Tanh(h)", "h = Add(x, x)  y = Tanh(h)", "y = Sigmoid(x)"]
)
def test_what_is_no_product_by_a_weight_stays(body, model_from):
    text = f"g (float16[8,8] x, float16[8,8] w) => (float16[8,8] y) {{ {body} }}"
    assert not SeparateActivation()(model_from(text, WEIGHT)).modified
