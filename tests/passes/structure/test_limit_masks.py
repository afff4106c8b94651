import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.structure.limit_masks import LimitMasks
from program.onnx_executor import OnnxExecutor

TEXT = "g (float16[2,4] x, float16[2,4] m) => (float16[2,4] y) { a = Add(x, m)  y = Softmax<axis=-1>(a) }"
CHOICE = """g (float16[2,4] x, bool[2,4] k, float16 m) => (float16[2,4] y)
{ a = Where(k, x, m)  y = Softmax<axis=-1>(a) }"""


def mask(low):
    return {"m": np.where(np.tri(2, 4, 1) > 0, 0, low).astype(np.float16)}


@pytest.mark.parametrize("low", [-np.inf, -65504])
def test_masks_are_limited(low, model_from, same_graph, parity):
    before, model = model_from(TEXT, mask(low)), model_from(TEXT, mask(low))
    step = LimitMasks()
    assert step(model).modified and len(step.remarks) == 1
    expected = model_from(TEXT, mask(-1e4))
    values = [value.const_value.numpy() for value in (*model.graph.initializers.values(),)]
    assert any(
        np.array_equal(array, expected.graph.initializers["m"].const_value.numpy()) for array in values
    )
    parity(before, model, atol=0)


def test_a_row_without_any_key_stays_finite(model_from):
    model = model_from(CHOICE, {"m": np.array(-np.inf, np.float16)})
    InferShapes()(model)
    LimitMasks()(model)
    rows = OnnxExecutor(model)({"x": np.ones((2, 4), np.float16), "k": np.zeros((2, 4), bool)})["y"]
    np.testing.assert_allclose(rows, 0.25)


def test_small_masks_and_other_constants_stay(model_from):
    assert not LimitMasks()(model_from(TEXT, mask(-1e4))).modified
    text = "g (float16[2,4] x, float16[2,4] m) => (float16[2,4] y) { y = Add(x, m) }"
    assert not LimitMasks()(model_from(text, mask(-65504))).modified
