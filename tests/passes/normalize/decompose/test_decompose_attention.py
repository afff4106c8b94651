import numpy as np
import pytest

from passes.core.errors import PassError
from passes.normalize.decompose.decompose_attention import DecomposeAttention
from program.onnx_executor import OnnxExecutor

BEFORE = """g (float[1,2,3,4] q, float[1,2,5,4] k, float[1,2,5,4] v) => (float[1,2,3,4] y)
{ y = Attention<scale=0.5>(q, k, v) }"""
EXPECTED = """g (float[1,2,3,4] q, float[1,2,5,4] k, float[1,2,5,4] v) => (float[1,2,3,4] y)
<float scale = {0.5}, int64[4] rows = {1,2,3,4}, int64[4] scores = {1,2,3,5}> {
  scaled = Mul(q, scale)  grouped = Reshape(scaled, rows)  kt = Transpose<perm=[0,1,3,2]>(k)
  s = MatMul(grouped, kt)  full = Reshape(s, scores)  p = Softmax<axis=-1>(full)
  weights = Reshape(p, scores)  mixed = MatMul(weights, v)  y = Reshape(mixed, rows)
}"""


def check(text, model_from, parity):
    before, model = model_from(text), model_from(text)
    assert DecomposeAttention()(model).modified
    assert not [node for node in model.graph if node.op_type == "Attention"]
    return parity(before, model)


def test_becomes_products_and_softmax(model_from, same_graph, parity):
    model = model_from(BEFORE)
    DecomposeAttention()(model)
    same_graph(model, model_from(EXPECTED))
    parity(model_from(BEFORE), model)


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mask", ["", "float[3,5] m", "bool[3,5] m", "float[1,1,3,5] m", "bool[1,4,3,5] m"])
def test_grouped_heads_and_masks(causal, mask, model_from, parity):
    inputs = "float[1,4,3,8] q, float[1,2,5,8] k, float[1,2,5,6] v" + (f", {mask}" if mask else "")
    call = "q, k, v, m" if mask else "q, k, v"
    check(
        f"g ({inputs}) => (float[1,4,3,6] y) {{ y = Attention<is_causal={causal}>({call}) }}",
        model_from,
        parity,
    )


def test_three_dimensional_inputs(model_from, parity):
    text = """g (float[2,3,16] q, float[2,5,8] k, float[2,5,8] v) => (float[2,3,16] y)
    { y = Attention<q_num_heads=4, kv_num_heads=2>(q, k, v) }"""
    check(text, model_from, parity)


@pytest.mark.parametrize("causal", [0, 1])
def test_cache_is_prepended_and_returned(causal, model_from, parity):
    text = f"""g (float[1,4,3,8] q, float[1,2,3,8] k, float[1,2,3,8] v, float[1,2,4,8] pk, float[1,2,4,8] pv)
    => (float[1,4,3,8] y, float[1,2,7,8] nk, float[1,2,7,8] nv)
    {{ y, nk, nv = Attention<is_causal={causal}>(q, k, v, , pk, pv) }}"""
    check(text, model_from, parity)


def test_softcap_and_scale(model_from, parity):
    text = """g (float[1,2,3,8] q, float[1,2,5,8] k, float[1,2,5,8] v, float[3,5] m) => (float[1,2,3,8] y)
    { y = Attention<softcap=2.0, scale=0.3>(q, k, v, m) }"""
    check(text, model_from, parity)


def test_softmax_precision_keeps_float32_in_a_float16_graph(model_from, parity):
    text = """g (float16[1,2,3,8] q, float16[1,2,5,8] k, float16[1,2,5,8] v) => (float16[1,2,3,8] y)
    { y = Attention<softmax_precision=1>(q, k, v) }"""
    before, model = model_from(text), model_from(text)
    DecomposeAttention()(model)
    assert [node.op_type for node in model.graph].count("Cast") == 2
    parity(before, model, atol=3e-3)


def test_query_head_uses_the_key_head_of_its_group(model_from):
    text = "g (float[1,4,1,2] q, float[1,2,1,2] k, float[1,2,1,2] v) => (float[1,4,1,2] y) { y = Attention(q, k, v) }"
    model = model_from(text)
    DecomposeAttention()(model)
    value = np.arange(4, dtype=np.float32).reshape(1, 2, 1, 2)
    feeds = {"q": np.ones((1, 4, 1, 2), np.float32), "k": np.ones((1, 2, 1, 2), np.float32), "v": value}
    np.testing.assert_array_equal(OnnxExecutor(model)(feeds)["y"], np.repeat(value, 2, axis=1))


def test_scores_as_output_are_refused(model_from):
    text = """g (float[1,2,3,8] q, float[1,2,5,8] k, float[1,2,5,8] v) => (float[1,2,3,8] y, float[1,2,3,5] s)
    { y, , , s = Attention(q, k, v) }"""
    with pytest.raises(PassError, match="qk_matmul_output"):
        DecomposeAttention()(model_from(text))


def test_heads_must_be_known(model_from):
    text = (
        "g (float[2,3,16] q, float[2,5,8] k, float[2,5,8] v) => (float[2,3,16] y) { y = Attention(q, k, v) }"
    )
    with pytest.raises(PassError, match="q_num_heads"):
        DecomposeAttention()(model_from(text))
