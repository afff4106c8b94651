import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes
from passes.core.rewrite import COMPUTE_KEY
from passes.float.convert_float16 import ConvertFloat16
from passes.float.float32_nodes import FLOAT32_OPS
from program.onnx_executor import OnnxExecutor

BEFORE = """g (float[2,4] x) => (float[2,4] y) <float[4] b = {1,2,3,4}, float eps = {1e-6}, int64[1] axes = {-1}> {
  s = Mul(x, x)  m = ReduceMean(s, axes)  a = Add(m, eps)  r = Sqrt(a)  q = Div(x, r)  y = Add(q, b)
}"""
EXPECTED = """g (float16[2,4] x, float16[4] b) => (float16[2,4] y)
<float eps = {1e-6}, int64[1] axes = {-1}> {
  s = Mul(x, x)  w = Cast<to=1>(s)  m = ReduceMean(w, axes)  a = Add(m, eps)  r = Sqrt(a)
  n = Cast<to=10>(r)  q = Div(x, n)  y = Add(q, b)
}"""


def converted(model_from, text, tags=(), weights=None):
    model = model_from(text, weights)
    InferShapes()(model)
    for index in tags:
        model.graph[index].metadata_props[COMPUTE_KEY] = "float32"
    step = ConvertFloat16()
    assert step(model).modified
    return model, step


def run_both(model_from, text, model, weights=None, tolerance=2e-3):
    before = model_from(text, weights)
    rng = np.random.default_rng(0)
    feeds = {v.name: rng.standard_normal(v.shape.numpy()).astype(np.float32) for v in before.graph.inputs}
    expected = OnnxExecutor(before)(feeds)
    received = OnnxExecutor(model)({name: value.astype(np.float16) for name, value in feeds.items()})
    for name, value in expected.items():
        assert received[name].dtype == np.float16
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(received[name].astype(np.float32), value, atol=tolerance * scale)


def test_statistics_stay_in_float32(model_from, same_graph):
    model, step = converted(model_from, BEFORE)
    same_graph(model, model_from(EXPECTED, {"b": np.arange(1, 5, dtype=np.float16)}))
    run_both(model_from, BEFORE, model)
    reasons = {remark.node: remark.why for remark in step.remarks}
    assert set(reasons) == {"reducemean_1", "add_2", "sqrt_3"}
    assert "1e-06" in reasons["add_2"]


def test_two_casts_for_one_node_have_names_of_their_own(model_from):
    text = """g (float[2,4] x) => (float[2,8] y) <int64[1] axes = {-1}> {
      a = Exp(x)  b = Neg(a)  y = Concat<axis=1>(a, b)
    }"""
    model, _ = converted(model_from, text, tags=(0, 1))
    names = [value.name for node in model.graph for value in node.outputs]
    assert len(names) == len(set(names))
    run_both(model_from, text, model)


def test_tagged_nodes_stay_in_float32_without_casts_between(model_from):
    model, _ = converted(model_from, BEFORE, tags=range(5))
    assert [node.op_type for node in model.graph].count("Cast") == 2
    run_both(model_from, BEFORE, model)


def test_squares_beyond_the_range_survive_when_tagged(model_from):
    model, _ = converted(model_from, BEFORE, tags=range(5))
    result = OnnxExecutor(model)({"x": np.full((2, 4), 3000, np.float16)})["y"]
    np.testing.assert_allclose(result, [[2, 3, 4, 5]] * 2, atol=1e-2)


def test_angles_of_positions_are_computed_in_float32(model_from):
    text = """g (int64[1,4] p, float[1,4] x) => (float[1,4] y) <float f = {0.9}> {
      c = Cast<to=1>(p)  a = Mul(c, f)  e = Cos(a)  y = Mul(x, e) }"""
    model, _ = converted(model_from, text)
    positions = np.array([[0, 5, 3001, 60001]])
    result = OnnxExecutor(model)({"p": positions, "x": np.ones((1, 4), np.float16)})["y"]
    np.testing.assert_allclose(result, np.cos(np.float32(0.9) * positions.astype(np.float32)), atol=1e-3)


def test_nodes_that_feed_float16_ones_are_not_drawn_in(model_from):
    text = "g (float[2] x) => (float[2] y, float[2] z) { a = Exp(x)  b = Neg(a)  y = Log(b)  z = Add(b, x) }"
    model, _ = converted(model_from, text)
    neg = next(node for node in model.graph if node.op_type == "Neg")
    assert neg.outputs[0].dtype == ir.DataType.FLOAT16


def test_mask_constants_are_clamped_with_a_remark(model_from):
    text = "g (float[2] x) => (float[2] y) <float low = {-1e30}> { y = Add(x, low) }"
    model, step = converted(model_from, text)
    (constant,) = model.graph.initializers.values()
    assert constant.const_value.numpy() == np.float16(-65504)
    assert [remark.what for remark in step.remarks] == ["clamped to ±65504"]
    assert step.remarks[0].numbers["largest"] == pytest.approx(1e30)


def test_an_initializer_used_in_both_types_has_two_names(model_from):
    text = "g (float[2] x) => (float[2] y) <float[2] b = {1,2}> { p = Pow(x, b)  y = Add(p, b) }"
    model, _ = converted(model_from, text)
    kinds = {name: value.dtype for name, value in model.graph.initializers.items()}
    assert kinds == {"b": ir.DataType.FLOAT16, "b.float32": ir.DataType.FLOAT}


def test_outputs_of_float32_nodes_are_rounded_and_keep_their_name(model_from):
    text = "g (float[2] x) => (float[2] y) { y = Exp(x) }"
    model, _ = converted(model_from, text)
    assert [(v.name, v.dtype) for v in model.graph.outputs] == [("y", ir.DataType.FLOAT16)]
    run_both(model_from, text, model)


def test_casts_to_float_become_casts_to_float16(model_from):
    text = "g (int64[2] x, float[2] z) => (float[2] y) { c = Cast<to=1>(x)  y = Mul(c, z) }"
    model, _ = converted(model_from, text)
    assert model.graph[0].attributes["to"].as_int() == ir.DataType.FLOAT16
    result = OnnxExecutor(model)({"x": np.array([3, 4]), "z": np.array([0.5, 2], np.float16)})["y"]
    np.testing.assert_array_equal(result, np.array([1.5, 8], np.float16))


def test_large_weights_are_converted_when_written(model_from):
    weight = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    text = "g (float[2,64] x, float[64,32] w) => (float[2,32] y) { y = MatMul(x, w) }"
    model, _ = converted(model_from, text, weights={"w": weight})
    tensor = model.graph.initializers["w"].const_value
    assert tensor.dtype == ir.DataType.FLOAT16
    assert tensor.tobytes() == weight.astype(np.float16).tobytes()


def test_a_float16_graph_is_left_alone(model_from):
    model = model_from("g (float16[2] x) => (float[2] y) { y = Cast<to=1>(x) }")
    assert not ConvertFloat16()(model).modified


def test_a_clone_is_not_changed_along(model_from):
    original = model_from(BEFORE)
    InferShapes()(original)
    ConvertFloat16()(original.clone())
    assert {value.dtype for node in original.graph for value in node.outputs} == {ir.DataType.FLOAT}


def test_generators_are_refused(model_from):
    text = "g (int64[1] n, float[4] x) => (float[4] y) { z = ConstantOfShape(n)  y = Add(x, z) }"
    with pytest.raises(PassError, match="ConstantOfShape"):
        ConvertFloat16()(model_from(text))


OPERATORS = {
    "LayerNormalization": "y = LayerNormalization<axis=-1>(x, w, w)",
    "RMSNormalization": "y = RMSNormalization<axis=-1>(x, w)",
    "Softmax": "y = Softmax<axis=-1>(x)",
    "Gelu": "y = Gelu(x)",
    "Gelu, tanh": 'y = Gelu<approximate="tanh">(x)',
    "Erf": "y = Erf(x)",
    "Tanh": "y = Tanh(x)",
    "Sigmoid": "y = Sigmoid(x)",
    "Relu": "y = Relu(x)",
    "MatMul": "t = Transpose<perm=[0,2,1]>(x) y = MatMul(x, t)",
    "Conv": "y = Conv<pads=[1,1]>(x, k)",
    "Where": "c = Greater(x, w) y = Where(c, x, w)",
    "Clip": "y = Clip(x, low, high)",
    "Concat": "y = Concat<axis=0>(x, x)",
    "Gather": "y = Gather<axis=1>(x, i)",
    "Slice": "y = Slice(x, i, j)",
    "Expand": "y = Expand(x, e)",
    "Pad": "y = Pad(x, p)",
    "Split": "y, z = Split<axis=-1, num_outputs=2>(x)",
    "AveragePool": "y = AveragePool<kernel_shape=[2]>(x)",
    "MaxPool": "y = MaxPool<kernel_shape=[2]>(x)",
    "InstanceNormalization": "y = InstanceNormalization(x, n, n)",
    "Max": "y = Max(x, w)",
    "Min": "y = Min(x, w)",
    "ReduceMax": "y = ReduceMax(x, i)",
    "ScatterND": "f = Unsqueeze(i, o) y = ScatterND(x, f, x)",
    "Einsum": 'y = Einsum<equation="abc,abd->acd">(x, x)',
    "Elu": "y = Elu(x)",
    "LeakyRelu": "y = LeakyRelu(x)",
    "HardSwish": "y = HardSwish(x)",
    "PRelu": "y = PRelu(x, w)",
    "ConvTranspose": "y = ConvTranspose(x, k)",
    "Floor": "y = Floor(x)",
    "Abs": "y = Abs(x)",
    "Neg": "y = Neg(x)",
    "Sin": "y = Sin(x)",
    "Cos": "y = Cos(x)",
    "Exp": "y = Exp(x)",
    "Pow": "y = Pow(x, two)",
    "Log": "a = Abs(x) b = Add(a, high) y = Log(b)",
    "Sqrt": "a = Abs(x) y = Sqrt(a)",
    "Reciprocal": "a = Abs(x) b = Add(a, high) y = Reciprocal(b)",
    "CumSum": "y = CumSum(x, axis)",
    "ReduceMean": "y = ReduceMean(x, o)",
    "ReduceSum": "y = ReduceSum(x, o)",
    "ReduceL2": "y = ReduceL2(x, o)",
    "Softplus": "y = Softplus(x)",
    "Resize": 'y = Resize<mode="linear">(x, , factors)',
}


@pytest.mark.parametrize("name", OPERATORS)
def test_onnxruntime_runs_what_is_left(name, model_from):
    ones = ",".join(["0.5"] * 8)
    constants = f"""<float[8] w = {{{ones}}}, float[3] n = {{1,1,1}}, float low = {{-1}}, float high = {{1}},
    float[3,3,1] k = {{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9}}, int64[1] i = {{0}}, int64[1] j = {{1}},
    int64[1] o = {{1}}, int64[3] e = {{2,3,8}}, int64[6] p = {{0,0,1,0,0,1}}, float two = {{2}}, int64 axis = {{1}},
    float[3] factors = {{1,1,2}}>"""
    text = f"g (float[1,3,8] x) => (float y) {constants} {{ {OPERATORS[name]} }}"

    def parse(*_):
        model = model_from(text)
        model.graph.outputs[0].shape = None
        for value in tuple(model.graph.initializers.values()):
            if not value.uses():
                del model.graph.initializers[value.name]
        InferShapes()(model)
        return model

    model = parse()
    ConvertFloat16()(model)
    if name in FLOAT32_OPS:
        assert "Cast" in [node.op_type for node in model.graph]
    run_both(parse, text, model, tolerance=4e-3)
