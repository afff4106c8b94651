import pytest

from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.normalize.fuse_gelu import FuseGelu

FORMS = [
    "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  y = Mul(m, half)",
    "d = Mul(x, inverse)  e = Erf(d)  a = Add(one, e)  h = Mul(half, x)  y = Mul(h, a)",
    "d = Mul(inverse, x)  e = Erf(d)  a = Add(e, one)  h = Mul(a, half)  y = Mul(x, h)",
]
CONSTANTS = "<float root = {1.4142135}, float inverse = {0.70710678}, float one = {1.0}, float half = {0.5}>"


def text_of(body):
    return f"g (float[2,64] x) => (float[2,64] y) {CONSTANTS} {{ {body} }}"


@pytest.mark.parametrize("body", FORMS)
def test_every_order_of_products_is_recognised(body, model_from, same_graph, parity):
    model = model_from(text_of(body))
    assert FuseGelu()(model).modified
    EliminateDeadNodes()(model)
    same_graph(model, model_from("g (float[2,64] x) => (float[2,64] y) { y = Gelu(x) }"))
    parity(model_from(text_of(body)), model)


@pytest.mark.parametrize(
    "body",
    [
        "d = Div(x, one)  e = Erf(d)  a = Add(e, one)  m = Mul(x, a)  y = Mul(m, half)",
        "d = Div(x, root)  e = Erf(d)  a = Add(e, one)  n = Neg(x)  m = Mul(n, a)  y = Mul(m, half)",
        "d = Div(x, root)  e = Erf(d)  a = Add(e, half)  m = Mul(x, a)  y = Mul(m, half)",
    ],
)
def test_look_alikes_stay(body, model_from):
    assert not FuseGelu()(model_from(text_of(body))).modified
