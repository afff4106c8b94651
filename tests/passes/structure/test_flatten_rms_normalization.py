import pytest

from passes.structure.flatten_rms_normalization import FlattenRmsNormalization

BEFORE = "g (float[1,9,2,8] x, float[8] w) => (float[1,9,2,8] y) { y = RMSNormalization<axis=-1>(x, w) }"
EXPECTED = """g (float[1,9,2,8] x, float[8] w) => (float[1,9,2,8] y)
<int64[3] flat = {1, 18, 8}, int64[4] shape = {1, 9, 2, 8}>
{ f = Reshape(x, flat)  n = RMSNormalization<axis=-1>(f, w)  y = Reshape(n, shape) }"""


def test_rows_become_one_axis(model_from, same_graph, parity):
    before, model = model_from(BEFORE), model_from(BEFORE)
    assert FlattenRmsNormalization()(model).modified
    same_graph(model, model_from(EXPECTED))
    parity(before, model)


@pytest.mark.parametrize(("shape", "axis"), [("1,9,8", -1), ("9,8", 1), ("1,1,9,8", 3), ("2,9,8", 1)])
def test_one_axis_of_rows_stays(shape, axis, model_from):
    scale = "9,8" if axis == 1 and shape == "2,9,8" else "8"
    text = f"g (float[{shape}] x, float[{scale}] w) => (float[{shape}] y) {{ y = RMSNormalization<axis={axis}>(x, w) }}"
    assert not FlattenRmsNormalization()(model_from(text)).modified
