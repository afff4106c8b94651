import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes
from passes.float.fp8 import round_trip, scales_for
from passes.float.insert_fp8_qdq import InsertFp8Qdq, quantised_inputs
from passes.float.precision import LayerFormat, PrecisionPolicy
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import MODALITY_KEY

RNG = np.random.default_rng(0)
WEIGHT = (RNG.standard_normal((16, 8)) * 0.1).astype(np.float32)
TEXT = "g (float[4,16] x, float[16,8] w) => (float[4,8] y) { y = MatMul(x, w) }"
TWO_LAYERS = """g (float[4,16] x, float[16,8] w, float[16,8] v) => (float[4,8] y)
{ a = MatMul(x, w)  b = MatMul(x, v)  y = Add(a, b) }"""


def build(model_from, modality="vision", text=TEXT, weights=None):
    model = model_from(text, weights or {"w": WEIGHT})
    for node in model.graph:
        node.metadata_props[MODALITY_KEY] = modality
    return model


def expected_graph(model_from, scale, fmt):
    text = """<ir_version: 10, opset_import: ["" : 23]>
    g (float[4,16] x, float s, float z, float c, float ws) => (float[4,8] y) {
      q = QuantizeLinear<saturate=1>(x, s, z)  d = DequantizeLinear(q, s, z)
      w = DequantizeLinear<axis=1>(c, ws)  y = MatMul(d, w) }"""
    model = ir.from_onnx_text(text)
    factors = scales_for(np.abs(WEIGHT).max(0), fmt, np.float32)
    codes = np.clip(WEIGHT / factors, -fmt.largest, fmt.largest).astype(fmt.numpy)
    constants = {"s": np.float32(scale), "z": np.zeros((), fmt.numpy), "c": codes, "ws": factors}
    for value in tuple(model.graph.inputs)[1:]:
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(np.asarray(constants[value.name]), name=value.name)
        model.graph.register_initializer(value)
    return model


@pytest.mark.parametrize(("modality", "fmt"), [("vision", Format.E4M3), ("text", Format.E5M2)])
def test_weight_and_input_are_quantised(modality, fmt, model_from, same_graph):
    model = build(model_from, modality)
    rewrite = InsertFp8Qdq(PrecisionPolicy(), "part", {("x", fmt): 0.25})
    assert rewrite(model).modified
    same_graph(model, expected_graph(model_from, 0.25, fmt))
    assert sorted(model.graph.initializers) == sorted(
        [f"part/x.{fmt.value}.scale", f"w.{fmt.value}", f"w.{fmt.value}.scale", f"zero_point.{fmt.value}"]
    )
    assert (rewrite.remarks[0].what, rewrite.remarks[0].modality) == (fmt.value, modality)


@pytest.mark.parametrize(("modality", "fmt"), [("vision", Format.E4M3), ("text", Format.E5M2)])
def test_onnxruntime_computes_the_quantised_product(modality, fmt, model_from):
    model = build(model_from, modality)
    InsertFp8Qdq(PrecisionPolicy(), "part", {("x", fmt): 0.01})(model)
    InferShapes()(model)
    x = RNG.standard_normal((4, 16)).astype(np.float32)
    factors = scales_for(np.abs(WEIGHT).max(0), fmt, np.float32)
    expected = round_trip(x, 0.01, fmt) @ (round_trip(WEIGHT / factors, 1.0, fmt) * factors)
    np.testing.assert_allclose(OnnxExecutor(model)({"x": x})["y"], expected, atol=1e-5)


def test_a_shared_input_is_quantised_once(model_from):
    model = build(model_from, "vision", TWO_LAYERS, {"w": WEIGHT, "v": WEIGHT * 2})
    InsertFp8Qdq(PrecisionPolicy(), "part", {("x", Format.E4M3): 0.1})(model)
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("QuantizeLinear") == 1
    assert kinds.count("DequantizeLinear") == 3


def test_layers_of_different_formats_quantise_their_input_twice(model_from):
    model = build(model_from, "vision", TWO_LAYERS, {"w": WEIGHT, "v": WEIGHT * 2})
    policy = PrecisionPolicy(measured={"v": LayerFormat(Format.E5M2, "measured")})
    assert set(quantised_inputs(model, policy)) == {("x", Format.E4M3), ("x", Format.E5M2)}
    InsertFp8Qdq(policy, "part", {("x", Format.E4M3): 0.1, ("x", Format.E5M2): 0.1})(model)
    assert [node.op_type for node in model.graph].count("QuantizeLinear") == 2


def test_float16_layers_stay_and_say_why(model_from):
    model = build(model_from, "fusion")
    rewrite = InsertFp8Qdq(PrecisionPolicy(), "part", {})
    assert not rewrite(model).modified
    assert rewrite.remarks[0].why == "modality fusion"


def test_an_input_without_a_scale_is_an_error(model_from):
    with pytest.raises(PassError, match="no calibrated e4m3 scale for x"):
        InsertFp8Qdq(PrecisionPolicy(), "part", {})(build(model_from))


def test_a_float16_graph_has_float16_scales(model_from):
    text = TEXT.replace("float[", "float16[")
    model = build(model_from, "text", text, {"w": WEIGHT.astype(np.float16)})
    InsertFp8Qdq(PrecisionPolicy(), "part", {("x", Format.E5M2): 1e-6})(model)
    scale = model.graph.initializers["part/x.e5m2.scale"].const_value
    assert scale.dtype == ir.DataType.FLOAT16
    assert float(scale.numpy()) >= 2.0**-14
    x = RNG.standard_normal((4, 16)).astype(np.float16)
    result = OnnxExecutor(model)({"x": x})["y"]
    reference = x.astype(np.float32) @ WEIGHT
    assert np.linalg.norm(result - reference) / np.linalg.norm(reference) < 0.15


def test_prefill_and_decode_derive_the_same_weight(model_from):
    parts = []
    for name in ("prefill", "decode"):
        model = build(model_from)
        InsertFp8Qdq(PrecisionPolicy(), name, {("x", Format.E4M3): 0.1 if name == "prefill" else 0.2})(model)
        parts.append({n: v.const_value.tobytes() for n, v in model.graph.initializers.items()})
    shared = set(parts[0]) & set(parts[1])
    assert shared == {"w.e4m3", "w.e4m3.scale", "zero_point.e4m3"}
    assert all(parts[0][name] == parts[1][name] for name in shared)


def test_convolutions_are_quantised_per_output_channel(model_from):
    weight = RNG.standard_normal((6, 3, 3)).astype(np.float32)
    text = "g (float[1,3,8] x, float[6,3,3] w) => (float[1,6,6] y) { y = Conv(x, w) }"
    model = build(model_from, "audio", text, {"w": weight})
    x = RNG.standard_normal((1, 3, 8)).astype(np.float32)
    exact = OnnxExecutor(model)({"x": x})["y"]
    InsertFp8Qdq(PrecisionPolicy(), "part", {("x", Format.E4M3): 0.01})(model)
    assert model.graph.initializers["w.e4m3.scale"].shape == (6,)
    result = OnnxExecutor(model)({"x": x})["y"]
    assert np.linalg.norm(result - exact) / np.linalg.norm(exact) < 0.06


def test_a_cast_keeps_the_scale_of_what_it_casts(model_from):
    """Conversion to float16 puts casts around operators that stay in float32, after calibration."""
    text = "g (float[4,16] x, float[16,8] w) => (float[4,8] y) { a = Cast<to=1>(x)  y = MatMul(a, w) }"
    model = build(model_from, text=text)
    assert InsertFp8Qdq(PrecisionPolicy(), "part", {("x", Format.E4M3): 0.25})(model).modified
    assert float(model.graph.initializers["part/a.e4m3.scale"].const_value.numpy()) == 0.25


def test_a_cast_of_the_model_has_a_scale_of_its_own(model_from):
    text = "g (int64[4,16] i, float[16,8] w) => (float[4,8] y) { a = Cast<to=1>(i)  y = MatMul(a, w) }"
    model = build(model_from, text=text)
    assert InsertFp8Qdq(PrecisionPolicy(), "part", {("a", Format.E4M3): 0.5})(model).modified
    assert float(model.graph.initializers["part/a.e4m3.scale"].const_value.numpy()) == 0.5
