import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.float.masked_values import masked_values, score_values

SCORES = """g (float[2,4] x, float[2,4] m) => (float[2,4] y) <float half = {0.5}> {
  h = Mul(x, half)  s = Add(h, m)  y = Softmax<axis=-1>(s)
}"""
WRITTEN_OUT = """g (float[2,4] x, float[2,4] m) => (float[2,4] y) <int64[1] axes = {-1}> {
  s = Add(x, m)  t = ReduceMax(s, axes)  d = Sub(s, t)  e = Exp(d)  z = ReduceSum(e, axes)  y = Div(e, z)
}"""


def names(values):
    return {value.name for value in values}


def test_scores_are_what_only_a_softmax_reads(model_from):
    assert names(score_values(model_from(SCORES).graph)) == {"h", "m", "s"}
    assert names(score_values(model_from(WRITTEN_OUT).graph)) == {"x", "m", "s", "d"}
    read_twice = SCORES.replace("y = Softmax<axis=-1>(s)", "p = Softmax<axis=-1>(s)  y = Mul(p, s)")
    assert not names(score_values(model_from(read_twice).graph))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a = Add(x, m)  b = Transpose(a)  y = Neg(b)", {"a", "b"}),
        ("a = Where(k, x, m)  y = Sub(a, x)", {"a", "y"}),
        ("a = Sub(x, m)  y = Neg(a)", set()),
        ("a = Mul(x, s)  b = Add(a, x)  y = Neg(b)", {"a", "b"}),
        ("a = Mul(x, m)  y = Neg(a)", set()),
    ],
)
def test_masks_reach_what_they_are_added_to(body, expected, model_from):
    text = f"""g (float[2,4] x, bool[2,4] k, float[2,4] m) => (float[2,4] y)
      <float s = {{-1000000000.0}}> {{ {body} }}"""
    model = model_from(text, {"m": np.where(np.tri(2, 4) > 0, 0, -3e38).astype(np.float32)})
    InferShapes()(model)
    assert names(masked_values(model.graph)) - {"m", "s"} == expected


@pytest.mark.parametrize("value", [-1e4, 1e9])
def test_other_constants_are_no_masks(value, model_from):
    text = "g (float[2,4] x, float[2,4] m) => (float[2,4] y) { y = Add(x, m) }"
    assert not masked_values(model_from(text, {"m": np.full((2, 4), value, np.float32)}).graph)
