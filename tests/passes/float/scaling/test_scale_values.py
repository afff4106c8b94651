import numpy as np
import onnx_ir as ir
import pytest

from passes.core.infer_shapes import InferShapes
from passes.float.convert_float16 import ConvertFloat16
from passes.float.scaling.errors import Float16RangeError
from passes.float.scaling.scale_values import ScaleValues
from passes.float.value_ranges import ValueRange, observe_ranges
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.legalize.pipeline import legalize_float16

LENGTH = """g (float[2,4] x) => (float[2,4] y) <int64[1] axes = {-1}> {
  s = Mul(x, x)  t = ReduceSum(s, axes)  r = Sqrt(t)  y = Div(x, r)
}"""
SCALED = """g (float[2,4] x) => (float[2,4] y)
<int64[1] axes = {-1}, float a = {0.25}, float b = {0.5}, float c = {4.0}> {
  l = Mul(x, a)  k = Mul(x, b)  s = Mul(l, k)  u = Mul(s, b)  t = ReduceSum(u, axes)  q = Sqrt(t)  r = Mul(q, c)
  y = Div(x, r)
}"""
NORM = """g (float[2,8] x) => (float[2,8] y) <int64[1] axes = {-1}, float tiny = {1e-6}> {
  n = ReduceL2(x, axes)  c = Clip(n, tiny)  y = Div(x, c)
}"""
STREAM = """g (float[3,8] x, float[8,8] w, float[8,8] v, float[8] g, float[8,5] o) => (float[3,5] y) {
  h = MatMul(x, w)  n = RMSNormalization<axis=-1>(h, g)  p = MatMul(n, v)  r = Add(h, p)  z = Add(p, r)
  m = RMSNormalization<axis=-1>(z, g)  y = MatMul(m, o)
}"""


def scaled(model_from, text, feeds=None, weights=None, ranges=None):
    model = model_from(text, weights)
    InferShapes()(model)
    step = ScaleValues(ranges if feeds is None else observe_ranges(model, [feeds]))
    assert step(model).modified
    InferShapes()(model)
    return model, step.remarks


def rows(shape, scale, seed=0):
    return {"x": (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)}


def stored_in_float16(model, feeds):
    """What a processor gives that stores every result in float16."""
    for value in (*model.graph.inputs, *(value for node in model.graph for value in node.outputs)):
        if value.dtype == ir.DataType.FLOAT:
            value.type = ir.TensorType(ir.DataType.FLOAT16)
    for value in model.graph.initializers.values():
        if value.dtype == ir.DataType.FLOAT:
            narrow = value.const_value.numpy().astype(np.float16)
            value.const_value, value.type = (
                ir.tensor(narrow, name=value.name),
                ir.TensorType(ir.DataType.FLOAT16),
            )
    return OnnxExecutor(model)({name: array.astype(np.float16) for name, array in feeds.items()})["y"]


def test_squares_are_scaled_on_both_sides_and_the_root_undoes_it(model_from, same_graph):
    ranges = {"x": ValueRange(300), "s": ValueRange(9e4), "t": ValueRange(2e5), "r": ValueRange(450)}
    model, remarks = scaled(model_from, LENGTH, ranges=ranges)
    same_graph(model, model_from(SCALED))
    assert {remark.node for remark in remarks} == {"mul_0", "reducesum_1"}


@pytest.mark.parametrize("text", [LENGTH, NORM])
@pytest.mark.parametrize("scale", [150, 300, 9000])
def test_a_length_whose_squares_leave_float16(text, scale, model_from):
    shape = tuple(model_from(text).graph.inputs[0].shape.numpy())
    feeds = rows(shape, scale)
    model, _ = scaled(model_from, text, feeds)
    expected = OnnxExecutor(model_from(text))(feeds)["y"]
    np.testing.assert_allclose(OnnxExecutor(model)(feeds)["y"], expected, rtol=1e-6)  # the factors are exact
    assert signal_to_noise(expected, stored_in_float16(model, feeds)) > 60


def test_a_residual_stream_goes_scaled_from_layer_to_layer(model_from):
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal((8, 8)).astype(np.float32) for name in "wv"}
    weights |= {"g": np.ones(8, "f4"), "o": rng.standard_normal((8, 5)).astype("f4")}
    weights["w"][:, 3] *= 4e4
    feeds = rows((3, 8), 1)
    model, remarks = scaled(model_from, STREAM, feeds, weights)
    expected = OnnxExecutor(model_from(STREAM, weights))(feeds)["y"]
    np.testing.assert_allclose(OnnxExecutor(model)(feeds)["y"], expected, rtol=1e-4, atol=1e-5)
    assert signal_to_noise(expected, stored_in_float16(model, feeds)) > 55
    assert {remark.node for remark in remarks} == {"matmul_0", "add_3", "add_4"}
    assert all(remark.numbers["largest"] > 65504 for remark in remarks)


@pytest.mark.parametrize(
    "body",
    [
        "b = Sigmoid(a)",
        "b = Tanh(a)",
        "c = Max(a, z)  b = Div(c, big)",
        "c = Sub(a, x)  d = Sub(c, a)  b = Relu(d)",
        "c = Clip(a, z)  b = Mul(c, small)",
        "c = Reciprocal(a)  b = Mul(c, big)",
        "d = Greater(a, x)  b = Where(d, x, z)",
        "c = Transpose<perm=[1,0]>(a)  d = Concat<axis=1>(c, c)  b = ReduceMean<keepdims=0>(d, axes)",
    ],
)
def test_operators_on_scaled_values(body, model_from):
    text = f"""g (float[4,4] x) => (float[4,4] y) <float f = {{300.0}}, float z = {{0.0}}, float big = {{100000.0}},
      float small = {{0.0001}}, int64[1] axes = {{1}}> {{ a = Mul(x, f)  {body}  y = Neg(b) }}"""
    text = text if "ReduceMean" not in body else text.replace("float[4,4] y", "float[4] y")
    text = text if "Mean" not in body else text.replace("y = Neg(b)", "e = Mul(b, small)  y = Neg(e)")
    feeds = rows((4, 4), 200)
    model, _ = scaled(model_from, text, feeds)
    expected = OnnxExecutor(model_from(text))(feeds)["y"]
    assert signal_to_noise(expected, OnnxExecutor(model)(feeds)["y"]) > 80
    assert np.isfinite(stored_in_float16(model, feeds)).all()


def test_what_is_only_near_the_limit_is_restored_for_other_operators(model_from):
    text = "g (float[4] x) => (float[4] y) <float f = {300.0}> { a = Mul(x, f)  b = Erf(a)  y = Neg(b) }"
    feeds = {"x": np.float32([1, 100, -3, 0.001])}
    model, _ = scaled(model_from, text, feeds)
    np.testing.assert_allclose(OnnxExecutor(model)(feeds)["y"], OnnxExecutor(model_from(text))(feeds)["y"])


@pytest.mark.parametrize("last", ["y = Erf(a)", "b = Softplus(a)  y = Neg(b)", "y = Neg(a)"])
def test_what_cannot_be_scaled_is_refused(last, model_from):
    text = f"g (float[4] x) => (float[4] y) <float f = {{300.0}}> {{ a = Mul(x, f)  {last} }}"
    model = model_from(text)
    InferShapes()(model)
    ranges = observe_ranges(model, [{"x": np.float32([1, 1000, -3, 0.001])}])
    with pytest.raises(Float16RangeError, match="300000"):
        ScaleValues(ranges)(model)


@pytest.mark.parametrize(
    "end",
    [
        "y = Softmax<axis=-1>(s)",
        "t = ReduceMax(s, axes)  d = Sub(s, t)  e = Exp(d)  z = ReduceSum(e, axes)  y = Div(e, z)",
        "y = Transpose<perm=[0,1]>(s)",
    ],
)
def test_masks_and_limits_are_no_reason(end, model_from):
    text = f"""g (float[2,4] x) => (float[2,4] y)
    <float top = {{3e38}}, float[4] m = {{0, 0, 0, -3e38}}, int64[1] axes = {{-1}}> {{
      c = Clip(x, , top)  s = Add(c, m)  {end}
    }}"""
    model = model_from(text)
    InferShapes()(model)
    assert not ScaleValues(observe_ranges(model, [rows((2, 4), 1)]))(model).modified


def test_the_whole_pipeline_scales_a_prepared_float16_graph(model_from, component_of):
    model = model_from(NORM)
    InferShapes()(model)
    ConvertFloat16()(model)
    component, feeds = component_of(model), rows((2, 8), 200)
    narrow = {"x": feeds["x"].astype(np.float16)}
    legalize_float16(component, observe_ranges(component.model, [narrow]))
    expected = OnnxExecutor(model_from(NORM))(feeds)["y"]
    assert signal_to_noise(expected, OnnxExecutor(component.model)(narrow)["y"]) > 60
    assert [node.op_type for node in component.model.graph].count("Mul") == 2
