import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.core.rewrite import COMPUTE_KEY
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.convert_float16 import ConvertFloat16
from passes.float.precision import PrecisionPolicy
from passes.float.value_ranges import ValueRange, observe_ranges
from passes.float.widen_values import WidenValues, wide_boundaries, wide_weights
from passes.float.widening import Widening
from passes.pipeline import normalize, quantize
from program.agreement import signal_to_noise
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Modality

CHAIN = """g (float[2,4] x) => (float[2,4] y) <float c = {0.001}> {
  a = Neg(x)  b = Mul(a, a)  d = Mul(b, c)  e = Abs(d)  y = Neg(e)
}"""
EXPECTED = """g (float16[2,4] x) => (float16[2,4] y) <float c = {0.001}> {
  a = Neg(x)  w = Cast<to=1>(a)  b = Mul(w, w)  d = Mul(b, c)  n = Cast<to=10>(d)  e = Abs(n)  y = Neg(e)
}"""
STREAM = """g (float[3,8] x, float[8,8] w, float[8,8] v, float[8] g) => (float[3,8] y) {
  h = MatMul(x, w)  n = LayerNormalization(h, g)  p = MatMul(n, v)  r = Add(h, p)  y = LayerNormalization(r, g)
}"""


def float16(model_from, text, feeds, weights=None):
    """The graph in float16, what is wide in it, why, and dB against the float32 graph in ONNX Runtime."""
    before, model = model_from(text, weights), model_from(text, weights)
    InferShapes()(model)
    ranges = observe_ranges(model, feeds)
    step = WidenValues(ranges)
    step(model)
    wide = tagged(model)
    ConvertFloat16(wide_boundaries(model.graph, ranges))(model)
    expected = OnnxExecutor(before)(feeds[0])["y"]
    narrow = {value.name: feeds[0][value.name].astype(value.dtype.numpy()) for value in model.graph.inputs}
    return model, wide, step.remarks, signal_to_noise(expected, OnnxExecutor(model)(narrow)["y"])


def samples(shape, scale, seed=0):
    return [
        {"x": (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float16).astype("f4")}
    ]


def tagged(model):
    return {node.outputs[0].name for node in model.graph if COMPUTE_KEY in node.metadata_props}


def test_a_value_beyond_float16_goes_from_node_to_node_in_float32(model_from, same_graph):
    model, wide, remarks, ratio = float16(model_from, CHAIN, samples((2, 4), 300))
    same_graph(model, model_from(EXPECTED))
    assert wide == {"b", "d"}
    assert all(remark.numbers["largest"] > 65504 for remark in remarks)
    assert all("b leaves the range of float16" in remark.why for remark in remarks)
    assert ratio > 60


def test_what_float16_holds_stays(model_from):
    _, wide, remarks, _ = float16(model_from, CHAIN, samples((2, 4), 10))
    assert not remarks and not wide


def test_values_below_the_normal_numbers(model_from):
    _, _, remarks, ratio = float16(model_from, CHAIN.replace("{0.001}", "{0.0001}"), samples((2, 4), 0.02))
    assert any("below the normal numbers" in remark.why for remark in remarks)
    assert ratio > 60


def test_a_residual_stream_beyond_float16(model_from):
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal((8, 8)).astype(np.float32) for name in "wv"} | {
        "g": np.ones(8, "f4")
    }
    weights["w"][:, 3] *= 9e4
    _, _, remarks, ratio = float16(model_from, STREAM, samples((3, 8), 1), weights)
    assert ratio > 60
    assert {remark.node for remark in remarks} >= {"matmul_0", "layernormalization_1", "add_3"}


def test_a_constant_beyond_float16_is_not_clamped_where_it_is_computed_with(model_from):
    text = "g (float[2,4] x) => (float[2,4] y) <float c = {1e6}> { d = Div(x, c)  y = Neg(d) }"
    _, wide, remarks, ratio = float16(model_from, text, samples((2, 4), 1000))
    assert any("the constant c leaves float16" in remark.why for remark in remarks)
    assert wide == {"d"} and ratio > 60


def test_limits_and_masks_are_clamped_as_before(model_from):
    text = """g (float[2,4] x) => (float[2,4] y) <float top = {3e38}, float[4] m = {0, 0, 0, -3e38}> {
      c = Clip(x, , top)  s = Add(c, m)  y = Softmax<axis=-1>(s)
    }"""
    _, wide, remarks, ratio = float16(model_from, text, samples((2, 4), 1))
    assert not remarks and not wide
    assert ratio > 55


def test_a_sum_that_cancels_is_wide_up_to_the_products_before_it(model_from):
    text = """g (float[3,8] x, float[8,8] w, float[8] far) => (float[3,8] y) <int64[1] axes = {-1}> {
      p = MatMul(x, w)  f = Add(p, far)  r = Relu(f)  m = ReduceMean(r, axes)  d = Sub(r, m)  y = Neg(d)
    }"""
    weights = {
        "w": np.random.default_rng(2).standard_normal((8, 8)).astype("f4"),
        "far": np.full(8, 400, "f4"),
    }
    _, wide, remarks, ratio = float16(model_from, text, samples((3, 8), 1), weights)
    assert wide == {"f", "r", "m", "d"}
    assert all(remark.numbers["operand_to_result"] > 16 for remark in remarks)
    assert ratio > 60


def test_layers_of_one_weight_are_treated_alike_in_every_component(model_from):
    text = "g (float[3,4] x, float[4,4] w) => (float[3,4] y) { m = MatMul(x, w)  y = Neg(m) }"
    weights = {"w": np.eye(4, dtype=np.float32)}
    model = model_from(text, weights)
    InferShapes()(model)
    assert wide_weights(model.graph, {"m": ValueRange(1e5)}) == {"w"}
    WidenValues({}, frozenset({"w"}))(model)
    assert tagged(model) == {"m"}


def test_inputs_and_outputs_beyond_float16_stay_float32(model_from):
    model = model_from("g (float[3] x, float[3] z) => (float[3] y, float[3] v) { y = Mul(x, z)  v = Neg(z) }")
    InferShapes()(model)
    ranges = {"x": ValueRange(1e5), "z": ValueRange(1), "y": ValueRange(2e4), "v": ValueRange(1)}
    wide = wide_boundaries(model.graph, ranges)
    assert wide == {"x": 1e5, "y": 2e4}
    WidenValues(ranges)(model)
    ConvertFloat16(wide)(model)
    names = ("FLOAT", "FLOAT16", "FLOAT", "FLOAT16")
    assert tuple(value.dtype.name for value in (*model.graph.inputs, *model.graph.outputs)) == names
    feeds = {"x": np.float32([1e5, 1, -9e4]), "z": np.float16([0.2, 1, 0.1])}
    np.testing.assert_allclose(OnnxExecutor(model)(feeds)["y"], feeds["x"] * feeds["z"].astype("f4"))


def test_a_graph_that_is_float16_already_is_left_alone(model_from):
    model = model_from("g (float16[3] x) => (float16[3] y) { y = Neg(x) }")
    assert not WidenValues({"y": ValueRange(1e5)})(model).modified


@pytest.mark.parametrize("format_", [Format.E4M3, Format.E5M2])
def test_fp8_layers_on_a_stream_beyond_float16(format_, model_from, component_of):
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal((8, 8)).astype(np.float32) for name in "wv"} | {
        "g": np.ones(8, "f4")
    }
    weights["w"][:, 3] *= 9e4
    feeds = samples((3, 8), 1)
    component = component_of(model_from(STREAM, weights))
    InferShapes()(component.model)
    ranges = observe_ranges(component.model, feeds)
    policy = PrecisionPolicy(by_modality=dict.fromkeys(Modality, format_))
    normalize(component, names=("tag_modality",))
    scales = calibrate(component.model, feeds, policy, calibration_method("absmax"))
    quantize(component, policy, scales, widening=Widening(ranges))
    expected = OnnxExecutor(model_from(STREAM, weights))(feeds[0])["y"]
    received = OnnxExecutor(component.model)({"x": feeds[0]["x"].astype(np.float16)})["y"]
    assert signal_to_noise(expected, received) > (25 if format_ is Format.E4M3 else 20)
