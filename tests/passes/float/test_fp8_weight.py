import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from passes.core.errors import PassError
from passes.core.lazy_tensor import transposed
from passes.float.fp8 import decode
from passes.float.fp8_weight import channel_absmax, quantised_weight
from program.number_format import Format
from program.onnx_executor import OnnxExecutor

RNG = np.random.default_rng(0)
WEIGHT = (RNG.standard_normal((300, 70)) * np.exp(RNG.standard_normal(70))).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
@pytest.mark.parametrize("axis", [0, 1])
def test_absmax_per_channel(dtype, axis):
    weight = WEIGHT.astype(dtype)
    expected = np.abs(weight.astype(np.float32)).max(axis=1 - axis)
    np.testing.assert_array_equal(channel_absmax(ir.tensor(weight), axis), expected)


def test_absmax_of_a_transposed_weight_reads_its_source():
    lazy = transposed(ir.tensor(WEIGHT), "w")
    np.testing.assert_array_equal(channel_absmax(lazy, 1), np.abs(WEIGHT).max(axis=1))


@pytest.mark.parametrize("fmt", [Format.E4M3, Format.E5M2])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("scale_dtype", [ir.DataType.FLOAT, ir.DataType.FLOAT16])
def test_codes_are_those_of_onnxruntime(fmt, axis, scale_dtype):
    codes, scales = quantised_weight(ir.tensor(WEIGHT), fmt, axis, scale_dtype, "w")
    assert (codes.name, scales.name) == (f"w.{fmt.value}", f"w.{fmt.value}.scale")
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 23]> g (float[300,70] x, float[{WEIGHT.shape[axis]}] s)
        => (float[300,70] y) {{ q = QuantizeLinear<output_dtype={int(fmt.onnx)}, axis={axis}>(x, s)
        y = DequantizeLinear<axis={axis}>(q, s) }}"""
    )
    factors = scales.numpy().astype(np.float32)
    expected = OnnxExecutor(model)({"x": WEIGHT, "s": factors})["y"]
    shape = (-1, 1) if axis == 0 else (1, -1)
    received = decode(codes.numpy().view(np.uint8), fmt) * factors.reshape(shape)
    np.testing.assert_array_equal(received, expected)


@pytest.mark.parametrize("fmt", [Format.E4M3, Format.E5M2])
def test_error_is_at_most_half_a_step(fmt):
    codes, scales = quantised_weight(ir.tensor(WEIGHT), fmt, 1, ir.DataType.FLOAT16, "w")
    factors = scales.numpy().astype(np.float32)
    error = np.abs(decode(codes.numpy().view(np.uint8), fmt) * factors - WEIGHT)
    half_step, subnormal = {Format.E4M3: (2**-4, 2**-10), Format.E5M2: (2**-3, 2**-17)}[fmt]
    assert np.all(error <= np.maximum(half_step * np.abs(WEIGHT), subnormal * factors) * (1 + 1e-6))


@given(
    weight=hnp.arrays(np.float16, (7, 5), elements=st.floats(-600, 600, width=16)),
    fmt=st.sampled_from([Format.E4M3, Format.E5M2]),
)
@settings(max_examples=60)
def test_nothing_saturates_and_bytes_repeat(weight, fmt):
    codes, scales = quantised_weight(ir.tensor(weight), fmt, 1, ir.DataType.FLOAT16, "w")
    again, _ = quantised_weight(ir.tensor(weight), fmt, 1, ir.DataType.FLOAT16, "w")
    assert codes.tobytes() == again.tobytes()
    ratio = np.abs(weight.astype(np.float32)) / scales.numpy().astype(np.float32)
    assert np.all(ratio <= fmt.largest)


def test_a_convolution_weight_has_scales_of_the_first_axis():
    weight = RNG.standard_normal((6, 3, 2, 2)).astype(np.float32)
    codes, scales = quantised_weight(ir.tensor(weight), Format.E4M3, 0, ir.DataType.FLOAT, "w")
    assert scales.shape == (6,)
    restored = decode(codes.numpy().view(np.uint8), Format.E4M3) * scales.numpy().reshape(6, 1, 1, 1)
    assert np.max(np.abs(restored - weight)) <= np.abs(weight).max() / 16


def test_lazy_sources_give_the_same_bytes():
    plain, _ = quantised_weight(ir.tensor(WEIGHT.T.copy()), Format.E5M2, 1, ir.DataType.FLOAT16, "w")
    lazy, _ = quantised_weight(transposed(ir.tensor(WEIGHT), "w"), Format.E5M2, 1, ir.DataType.FLOAT16, "w")
    assert lazy.tobytes() == plain.tobytes()


def test_a_damaged_weight_is_reported():
    weight = WEIGHT.copy()
    weight[3, 4] = np.nan
    _, scales = quantised_weight(ir.tensor(weight), Format.E4M3, 1, ir.DataType.FLOAT, "layer.weight")
    with pytest.raises(PassError, match=r"layer\.weight"):
        scales.numpy()
