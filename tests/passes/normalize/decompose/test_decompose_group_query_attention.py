import numpy as np
import pytest

from passes.core.errors import PassError
from passes.normalize.decompose.decompose_group_query_attention import DecomposeGroupQueryAttention
from program.onnx_executor import OnnxExecutor


def model_text(rows=3, past=0, attributes="", lengths=None, extra=""):
    cache = f", float[1,2,{past},16] pk, float[1,2,{past},16] pv" if past else ""
    names = "pk, pv" if past else ", "
    total = past + rows
    rotary = ", c, s" if "do_rotary" in attributes else ""
    tables = "float[16,8] c, float[16,8] s" if rotary else ""
    return f"""g (float[1,{rows},64] q, float[1,{rows},32] k, float[1,{rows},32] v{cache}
    {", " + tables if tables else ""}) => (float[1,{rows},64] y, float[1,2,{total},16] nk, float[1,2,{total},16] nv)
    <int32[1] lengths = {{{total - 1 if lengths is None else lengths}}}, int32 total = {{{total}}}>
    {{ y, nk, nv = com.microsoft.GroupQueryAttention<num_heads=4, kv_num_heads=2{attributes}>
    (q, k, v, {names}, lengths, total{rotary}{extra}) }}"""


EXPECTED = """g (float[1,3,64] q, float[1,3,32] k, float[1,3,32] v, float scale, float[3,3] causal)
=> (float[1,3,64] y, float[1,2,3,16] nk, float[1,2,3,16] nv)
<int64[4] qs = {1,3,4,16}, int64[4] ks = {1,3,2,16}, int64[4] gs = {1,2,6,16}, int64[4] ss = {1,4,3,3},
 int64[4] ws = {1,2,6,3}, int64[4] ms = {1,4,3,16}, int64[3] ys = {1,3,64}> {
  q4 = Reshape(q, qs)  qh = Transpose<perm=[0,2,1,3]>(q4)
  k4 = Reshape(k, ks)  kh = Transpose<perm=[0,2,1,3]>(k4)
  v4 = Reshape(v, ks)  vh = Transpose<perm=[0,2,1,3]>(v4)
  scaled = Mul(qh, scale)  grouped = Reshape(scaled, gs)  kt = Transpose<perm=[0,1,3,2]>(kh)
  s = MatMul(grouped, kt)  full = Reshape(s, ss)  masked = Add(full, causal)
  p = Softmax<axis=-1>(masked)  weights = Reshape(p, ws)  mixed = MatMul(weights, vh)
  heads = Reshape(mixed, ms)  back = Transpose<perm=[0,2,1,3]>(heads)  y = Reshape(back, ys)
  nk = Identity(kh)  nv = Identity(vh)
}"""


def test_becomes_products_and_softmax(model_from, same_graph):
    model = model_from(model_text())
    DecomposeGroupQueryAttention()(model)
    causal = np.where(np.tri(3), 0, -1e30).astype(np.float32)
    same_graph(model, model_from(EXPECTED, {"scale": np.asarray(0.25, np.float32), "causal": causal}))


@pytest.mark.parametrize(
    "attributes", ["", ", do_rotary=1", ", do_rotary=1, rotary_interleaved=1", ", softcap=3.0"]
)
def test_prompt(attributes, model_from, parity):
    text = model_text(attributes=attributes)
    before, model = model_from(text), model_from(text)
    assert DecomposeGroupQueryAttention()(model).modified
    assert not [node for node in model.graph if node.domain]
    parity(before, model)


@pytest.mark.parametrize("attributes", ["", ", do_rotary=1"])
def test_one_token_after_a_cache(attributes, model_from, parity):
    text = model_text(rows=1, past=4, attributes=attributes)
    before, model = model_from(text), model_from(text)
    DecomposeGroupQueryAttention()(model)
    parity(before, model)


@pytest.mark.parametrize("attributes", [", local_window_size=2", ", smooth_softmax=1"])
def test_refuses_by_attribute(attributes, model_from):
    with pytest.raises(PassError, match=attributes.split("=")[0].strip(", ")):
        DecomposeGroupQueryAttention()(model_from(model_text(attributes=attributes)))


def test_refuses_a_partly_filled_cache(model_from):
    with pytest.raises(PassError, match="seqlens_k"):
        DecomposeGroupQueryAttention()(model_from(model_text(rows=1, past=4, lengths=2)))


def test_result_rows_sum_values_of_earlier_rows_only(model_from):
    model = model_from(model_text())
    DecomposeGroupQueryAttention()(model)
    value = np.zeros((1, 3, 32), np.float32)
    value[0, 2] = 1
    feeds = {"q": np.ones((1, 3, 64), np.float32), "k": np.ones((1, 3, 32), np.float32), "v": value}
    result = OnnxExecutor(model)(feeds)["y"]
    np.testing.assert_allclose(result[0, :, 0], [0, 0, 1 / 3], atol=1e-6)
