"""QuantizeLinear and DequantizeLinear: codes as ONNX Runtime's, straight-through gradients."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import passes.learning.training.torch_graph.operators  # noqa: F401 - registers the operators
from passes.core.errors import PassError
from passes.float.fp8 import encode
from passes.learning.training.torch_graph.element_types import from_carrier
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import executor
from passes.learning.training.torch_graph.registry import OPERATORS, Gradient
from passes.learning.training.torch_graph.straight_through import round_to, round_to_codes
from passes.learning.training.torch_graph.weights import Weights
from program.number_format import Format
from program.onnx_executor import OnnxExecutor

CODES = {"float8e4m3fn": ml_dtypes.float8_e4m3fn, "float8e5m2": ml_dtypes.float8_e5m2, "int8": np.int8,
         "uint8": np.uint8, "int16": np.int16}  # fmt: skip


def initializer(model, name, array):
    tensor = ir.tensor(array, name=name)
    value = next(value for value in model.graph.inputs if value.name == name)
    model.graph.inputs.remove(value)
    value.const_value = tensor
    model.graph.register_initializer(value)


def activation_graph(parse, code, base="float", scale=0.03):
    """Gives the codes as floats too: ONNX Runtime cannot return FP8 arrays."""
    model = parse(
        f"g ({base}[4,64] x, {base} s, {code} zero) => (float[4,64] codes, {base}[4,64] y) "
        "{ q = QuantizeLinear(x, s, zero) y = DequantizeLinear(q, s, zero) one = Constant<value = float {1}>() "
        "codes = DequantizeLinear(q, one, zero) }"
    )
    dtype = np.float16 if base == "float16" else np.float32
    initializer(model, "s", np.array(scale, dtype))
    zero = {"int8": -3, "uint8": 100, "int16": 7}.get(code, 0)
    initializer(model, "zero", np.array(zero, CODES[code]))
    return model


def weight_graph(parse, code, axis, codes, scales):
    model = parse(
        f"g (float[2,6] x, {code}[6,4] w, float[{len(scales)}] s) => (float[2,4] y) "
        f"{{ d = DequantizeLinear<axis={axis}>(w, s) y = MatMul(x, d) }}"
    )
    initializer(model, "w", codes)
    initializer(model, "s", scales)
    return model


def test_every_straight_through_operator_is_tested_here():
    found = {name for name, entry in OPERATORS.items() if entry.gradient is Gradient.STRAIGHT_THROUGH}
    assert found == {"QuantizeLinear", "DequantizeLinear"}


@pytest.mark.parametrize("base", ["float", "float16"])
@pytest.mark.parametrize("code", CODES)
def test_codes_equal_onnx_runtime(parse, code, base):
    scale = {"float8e4m3fn": 0.01, "float8e5m2": 2e-4, "int16": 1e-4}.get(code, 0.03)
    model = activation_graph(parse, code, base, scale)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 64)) * 3  # some of it saturates
    x[0] = np.arange(64) * scale / 2  # ties
    feeds = {"x": x.astype(np.float16 if base == "float16" else np.float32)}
    expected, received = OnnxExecutor(model)(feeds), executor(TorchComponent(model))(feeds)
    for name in ("codes", "y"):
        assert received[name].dtype == expected[name].dtype
        assert received[name].tobytes() == expected[name].tobytes(), name


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=64), st.sampled_from(list(Format)[2:])
)
@settings(max_examples=60, deadline=None)
def test_fp8_rounding_is_that_of_the_codec(numbers, fmt):
    values = np.array(numbers, np.float32)
    with torch.no_grad():
        received = from_carrier(round_to_codes(torch.from_numpy(values), fmt.onnx), fmt.onnx)
    np.testing.assert_array_equal(received.view(np.uint8), encode(values, fmt))


@pytest.mark.parametrize("code", ["float8e4m3fn", "int8"])
def test_gradient_of_an_activation_is_one_inside_the_range_and_zero_outside(parse, code):
    model = activation_graph(parse, code)
    low, high = (-448 * 0.03, 448 * 0.03) if code != "int8" else (-125 * 0.03, 130 * 0.03)
    x = torch.linspace(2 * low, 2 * high, 256).reshape(4, 64).requires_grad_()
    TorchComponent(model)({"x": x})["y"].sum().backward()
    inside = (x.detach() > low * 0.98) & (x.detach() < high * 0.98)
    outside = (x.detach() < low * 1.02) | (x.detach() > high * 1.02)
    assert torch.all(x.grad[inside] == 1)
    assert torch.all(x.grad[outside] == 0)
    assert inside.any()
    assert outside.any()


@pytest.mark.parametrize("x", [0.5, -1.23, 9.0, -9.0])
def test_gradient_of_a_scale_is_that_of_learned_step_size(parse, x):
    model = activation_graph(parse, "int8")
    module = TorchComponent(model, weights=Weights(learn_scales=True))
    scale = module.named_weights()["s"]
    feed = torch.full((4, 64), x)
    module({"x": feed})["y"].sum().backward()
    ratio = x / 0.03
    code = np.clip(np.rint(ratio), -125, 130)  # without the zero point of -3
    expected = code - ratio if -125 < ratio < 130 else code
    assert scale.grad.item() == pytest.approx(256 * expected, rel=1e-3, abs=0.05)


def test_scales_are_fixed_unless_they_are_to_be_learned(parse):
    module = TorchComponent(activation_graph(parse, "int8"))
    assert not module.named_weights()["s"].requires_grad


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_quantised_weight_is_a_float_parameter(parse, code, axis):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 100, (6, 4)).astype(np.float32).astype(CODES[code])
    model = weight_graph(
        parse, code, axis, codes, rng.uniform(0.01, 0.02, 6 if axis == 0 else 4).astype(np.float32)
    )
    module = TorchComponent(model)
    weight = module.named_weights()["w"]
    assert weight.dtype == torch.float32
    assert weight.requires_grad
    feeds = {"x": rng.standard_normal((2, 6)).astype(np.float32)}
    expected = OnnxExecutor(model)(feeds)["y"]
    np.testing.assert_allclose(executor(module)(feeds)["y"], expected, rtol=1e-5, atol=1e-5)
    module({"x": torch.from_numpy(feeds["x"])})["y"].sum().backward()
    torch.testing.assert_close(weight.grad, torch.from_numpy(feeds["x"]).sum(0)[:, None].expand(6, 4))


def test_blocks_of_a_weight_have_scales_of_their_own(parse):
    rng = np.random.default_rng(2)
    codes = rng.integers(-7, 8, (6, 4)).astype(np.int8)
    model = parse(
        "g (float[2,6] x, int8[6,4] w, float[3,4] s) => (float[2,4] y) "
        "{ d = DequantizeLinear<axis=0, block_size=2>(w, s) y = MatMul(x, d) }"
    )
    initializer(model, "w", codes)
    initializer(model, "s", rng.uniform(0.01, 0.02, (3, 4)).astype(np.float32))
    feeds = {"x": rng.standard_normal((2, 6)).astype(np.float32)}
    expected = OnnxExecutor(model)(feeds)["y"]
    np.testing.assert_allclose(executor(TorchComponent(model))(feeds)["y"], expected, rtol=1e-5, atol=1e-6)


def test_codes_that_do_not_saturate_are_refused(parse):
    model = parse(
        "g (float[2] x, float s, float8e4m3fn zero) => (float8e4m3fn[2] q) "
        "{ q = QuantizeLinear<saturate=0>(x, s, zero) }"
    )
    initializer(model, "s", np.array(1, np.float32))
    initializer(model, "zero", np.array(0, ml_dtypes.float8_e4m3fn))
    with pytest.raises(PassError, match="saturate = 0"):
        TorchComponent(model)({"x": torch.ones(2)})


def test_rounding_to_float16_passes_gradients_float16_could_not_hold():
    x = torch.tensor([1.0001, 3.14159], requires_grad=True)
    rounded = round_to(x, ir.DataType.FLOAT16)
    assert rounded.tolist() == [1.0, 3.140625]
    (rounded * 1e-9).sum().backward()
    assert torch.all(x.grad == 1e-9)
