import onnx_ir as ir
import pytest

from passes.core.rewrite import COMPUTE_KEY
from passes.normalize.decompose.decompose_rms_normalization import DecomposeRmsNormalization

BEFORE = """g (float[2,3,8] x, float[8] w) => (float[2,3,8] y)
{ y = RMSNormalization<axis=-1, epsilon=1e-6>(x, w) }"""
EXPECTED = """g (float[2,3,8] x, float[8] w) => (float[2,3,8] y)
<int64[1] axes = {2}, float eps = {1e-6}> {
  s = Mul(x, x)  m = ReduceMean<keepdims=1>(s, axes)  a = Add(m, eps)  r = Sqrt(a)  q = Div(x, r)  y = Mul(q, w)
}"""


def test_is_written_as_the_function_body(model_from, same_graph, parity):
    before, model = model_from(BEFORE), model_from(BEFORE)
    assert DecomposeRmsNormalization()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(before, model)


def test_statistics_are_tagged_float32(model_from):
    model = model_from(BEFORE)
    DecomposeRmsNormalization()(model)
    tags = [node.metadata_props.get(COMPUTE_KEY) for node in model.graph]
    assert tags == ["float32"] * 5 + [None]


@pytest.mark.parametrize("axis", [1, -2, 2])
def test_every_trailing_axis_is_normalised(axis, model_from, parity):
    scale = "float[3,8]" if axis in (1, -2) else "float[8]"
    text = f"g (float[2,3,8] x, {scale} w) => (float[2,3,8] y) {{ y = RMSNormalization<axis={axis}>(x, w) }}"
    before, model = model_from(text), model_from(text)
    DecomposeRmsNormalization()(model)
    parity(before, model)


def test_float16_input_gets_a_float32_stash(model_from, parity):
    text = "g (float16[2,8] x, float16[8] w) => (float16[2,8] y) { y = RMSNormalization(x, w) }"
    before, model = model_from(text), model_from(text)
    DecomposeRmsNormalization()(model)
    casts = [node.attributes["to"].as_int() for node in model.graph if node.op_type == "Cast"]
    assert casts == [ir.DataType.FLOAT, ir.DataType.FLOAT16]
    parity(before, model, atol=2e-3)
