import numpy as np
import pytest

from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.legalize.decompose_softmax import DecomposeSoftmax

BEFORE = "g (float[2,3,8] x) => (float[2,3,8] y) { y = Softmax<axis=-1>(x) }"
EXPECTED = """g (float[2,3,8] x) => (float[2,3,8] y) <int64[1] axes = {2}>
{ m = ReduceMax<keepdims=1>(x, axes)  d = Sub(x, m)  e = Exp(d)  s = ReduceSum<keepdims=1>(e, axes)  y = Div(e, s) }"""


def test_is_written_as_exponentials(model_from, same_graph, parity):
    before, model = model_from(BEFORE), model_from(BEFORE)
    assert DecomposeSoftmax()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(before, model)


@pytest.mark.parametrize("axis", [0, 1, -2])
def test_other_axes(axis, model_from, parity):
    text = BEFORE.replace("axis=-1", f"axis={axis}")
    before, model = model_from(text), model_from(text)
    DecomposeSoftmax()(model)
    parity(before, model)


def test_large_scores_do_not_overflow_float16(model_from):
    model = model_from(BEFORE.replace("float[", "float16["))
    DecomposeSoftmax()(model)
    scores = np.full((2, 3, 8), 60000, np.float16)
    scores[..., 0] = -60000
    rows = OnnxExecutor(model)({"x": scores})["y"]
    np.testing.assert_allclose(rows[..., 1:], 1 / 7, rtol=1e-3)
    assert np.all(rows[..., 0] == 0)
