import pytest

from passes.core.errors import PassError
from passes.normalize.decompose.decompose_rotary_embedding import DecomposeRotaryEmbedding

BEFORE = """g (float[1,2,3,8] x, float[1,3,4] c, float[1,3,4] s) => (float[1,2,3,8] y)
{ y = RotaryEmbedding(x, c, s) }"""
EXPECTED = """g (float[1,2,3,8] x, float[1,3,4] c, float[1,3,4] s) => (float[1,2,3,8] y)
<int64[4] table = {1,1,3,4}, int64[1] zero = {0}, int64[1] half = {4}, int64[1] end = {8}, int64[1] axis = {-1},
 int64[1] one = {1}> {
  cos = Reshape(c, table)  sin = Reshape(s, table)
  a = Slice(x, zero, half, axis, one)  b = Slice(x, half, end, axis, one)
  ca = Mul(cos, a)  sb = Mul(sin, b)  real = Sub(ca, sb)
  sa = Mul(sin, a)  cb = Mul(cos, b)  imaginary = Add(sa, cb)
  y = Concat<axis=-1>(real, imaginary)
}"""


def test_halves_are_rotated(model_from, same_graph, parity):
    before, model = model_from(BEFORE), model_from(BEFORE)
    assert DecomposeRotaryEmbedding()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(before, model)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("dimension", [0, 4])
@pytest.mark.parametrize("rank", [3, 4])
def test_positions_partial_and_interleaved(interleaved, dimension, rank, model_from, parity):
    x = "float[1,2,3,8]" if rank == 4 else "float[1,3,16]"
    half = (dimension or 8) // 2
    attributes = f"interleaved={interleaved}, rotary_embedding_dim={dimension}, num_heads=2"
    text = f"""g ({x} x, float[4,{half}] c, float[4,{half}] s, int64[1,3] p) => ({x} y)
    {{ y = RotaryEmbedding<{attributes}>(x, c, s, p) }}"""
    before, model = model_from(text), model_from(text)
    DecomposeRotaryEmbedding()(model)
    parity(before, model)


@pytest.mark.parametrize("positions", ["int64[1]", "int64[1,3]"])
def test_microsoft_operator(positions, model_from, parity):
    text = f"""g (float[1,3,16] x, {positions} p, float[8,4] c, float[8,4] s) => (float[1,3,16] y)
    {{ y = com.microsoft.RotaryEmbedding<num_heads=2>(x, p, c, s) }}"""
    before, model = model_from(text), model_from(text)
    DecomposeRotaryEmbedding()(model)
    parity(before, model)


def test_packed_batching_is_refused(model_from):
    text = """g (float[1,3,16] x, int64[1] p, float[8,4] c, float[8,4] s) => (float[1,3,16] y)
    { y = com.microsoft.RotaryEmbedding<num_heads=2, is_packed_batching=1>(x, p, c, s) }"""
    with pytest.raises(PassError, match="is_packed_batching"):
        DecomposeRotaryEmbedding()(model_from(text))
