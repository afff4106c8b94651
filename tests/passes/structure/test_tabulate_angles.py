import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.normalize.eliminate_dead_nodes import EliminateDeadNodes
from passes.structure.tabulate_angles import TabulateAngles
from program.onnx_executor import OnnxExecutor

FREQUENCIES = (10000.0 ** -np.arange(0, 1, 0.25)).astype(np.float32)
PLAIN = """g (int64[6] p, float[4] f) => (float16[6,4] y, float16[6,4] z) <int64[1] last = {1}>
{ c = Cast<to=1>(p)  u = Unsqueeze(c, last)  a = Mul(u, f)
  k = Cos(a)  y = Cast<to=10>(k)  s = Sin(a)  z = Cast<to=10>(s) }"""
ROWS = """g (int64[3,1,6] p, float[4] f) => (float[1,1,6,8] y) <int64[4] rows = {0, 1, 2, 0}, int64[1] first = {1}>
{ c = Cast<to=1>(p)  r = Gather(c, rows)  t = Transpose<perm=[1,2,0]>(r)  a = Mul(f, t)
  d = Concat<axis=-1>(a, a)  u = Unsqueeze(d, first)  y = Cos(u) }"""


def made(model_from, text):
    model = model_from(text, {"f": FREQUENCIES})
    InferShapes()(model)
    return model


def compare(before, model, shape):
    feeds = {"p": np.random.default_rng(0).integers(0, 2000, shape)}
    expected, received = OnnxExecutor(before)(feeds), OnnxExecutor(model)(feeds)
    for name, values in expected.items():
        assert received[name].dtype == values.dtype
        np.testing.assert_allclose(received[name], values, atol=2e-6 if values.dtype == np.float32 else 1e-3)


def test_positions_of_three_rows_read_three_tables(model_from, same_graph):
    before, model = made(model_from, ROWS), made(model_from, ROWS)
    step = TabulateAngles(2000)
    assert step(model).modified
    EliminateDeadNodes()(model)
    cosine = np.cos(np.arange(2000, dtype=np.float32)[:, None] * FREQUENCIES)
    tables = {
        f"t{row}": np.where([owner == row for owner in (0, 1, 2, 0)], cosine, 0).astype(np.float32)
        for row in range(3)
    }
    expected = """g (int64[3,1,6] p, float[2000,4] t0, float[2000,4] t1, float[2000,4] t2) => (float[1,1,6,8] y)
    <int64[1] n = {18}, int64[1] z = {0}, int64[1] a = {6}, int64[1] b = {12}, int64[3] shape = {1, 6, 4},
     int64[1] first = {1}>
    { p0 = Reshape(p, n)  s0 = Slice(p0, z, a, z)  g0 = Gather<axis=0>(t0, s0)
      s1 = Slice(p0, a, b, z)  g1 = Gather<axis=0>(t1, s1)  s2 = Slice(p0, b, n, z)  g2 = Gather<axis=0>(t2, s2)
      h = Add(g0, g1)  i = Add(h, g2)  r = Reshape(i, shape)  d = Concat<axis=-1>(r, r)  y = Unsqueeze(d, first) }"""
    same_graph(model, model_from(expected, tables))
    compare(before, model, (3, 1, 6))
    assert step.remarks[0].numbers == {"bytes": 3 * 2000 * 4 * 2}


def test_casts_to_float16_are_in_the_table(model_from):
    text = PLAIN.replace("(float16[6,4] y, float16[6,4] z)", "(float16[6,4] o)")
    text = text.replace(" }", "  o = Add(y, z) }")
    before, model = made(model_from, text), made(model_from, text)
    assert TabulateAngles(2000)(model).modified
    EliminateDeadNodes()(model)
    assert "Cast" not in [node.op_type for node in model.graph]
    compare(before, model, (6,))


@pytest.mark.parametrize("positions", [None, 1 << 23])
def test_without_a_bound_it_is_said(positions, model_from):
    model = made(model_from, ROWS)
    step = TabulateAngles(positions)
    assert not step(model).modified
    assert step.remarks[0].what == "Cos is computed in float16"


def test_angles_of_float_inputs_stay(model_from):
    text = "g (float[6,1] p, float[4] f) => (float[6,4] y) { a = Mul(p, f)  y = Cos(a) }"
    step = TabulateAngles(100)
    assert not step(made(model_from, text)).modified and not step.remarks
