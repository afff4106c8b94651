import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.core.errors import PassError
from passes.float.fp8 import code_values, decode, encode, round_trip, scales_for, storable_scales
from program.number_format import Format
from program.onnx_executor import OnnxExecutor

FORMATS = [Format.E4M3, Format.E5M2]
ALL_HALVES = np.arange(65536, dtype=np.uint16).view(np.float16)


@pytest.mark.parametrize(
    ("fmt", "exponent_bits", "bias"), [(Format.E4M3, 4, 7), (Format.E5M2, 5, 15)], ids=["e4m3", "e5m2"]
)
def test_all_codes_have_the_value_of_their_bits(fmt, exponent_bits, bias):
    mantissa_bits = 7 - exponent_bits
    for code in range(256):
        sign = -1.0 if code & 0x80 else 1.0
        exponent, mantissa = (code & 0x7F) >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
        value = float(decode(np.array([code], np.uint8), fmt)[0])
        top = exponent == (1 << exponent_bits) - 1
        if fmt is Format.E4M3 and top and mantissa == 7:
            assert np.isnan(value)
        elif fmt is Format.E5M2 and top:
            assert value == sign * np.inf if mantissa == 0 else np.isnan(value)
        elif exponent == 0:
            assert value == sign * mantissa * 2.0 ** (1 - bias - mantissa_bits)
        else:
            assert value == sign * (1 + mantissa / (1 << mantissa_bits)) * 2.0 ** (exponent - bias)


@pytest.mark.parametrize("fmt", FORMATS)
def test_codes_survive_a_round_trip(fmt):
    codes = np.arange(256, dtype=np.uint8)
    finite = np.isfinite(code_values(fmt))
    np.testing.assert_array_equal(encode(decode(codes, fmt), fmt)[finite], codes[finite])


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_code_is_exact_in_float16(fmt):
    values = code_values(fmt)
    np.testing.assert_array_equal(values.astype(np.float16).astype(np.float32), values)


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_half_is_rounded_as_ml_dtypes_does(fmt):
    values, finite = ALL_HALVES, np.isfinite(ALL_HALVES)
    expected = np.clip(values[finite].astype(np.float32), -fmt.largest, fmt.largest).astype(fmt.numpy)
    np.testing.assert_array_equal(encode(values, fmt)[finite], expected.view(np.uint8))


@pytest.mark.parametrize("fmt", FORMATS)
def test_large_and_small_arrays_are_encoded_alike(fmt):
    pieces = [encode(part, fmt) for part in np.split(ALL_HALVES, 64)]
    whole = encode(ALL_HALVES, fmt)
    numbers = ~np.isnan(ALL_HALVES)
    np.testing.assert_array_equal(np.concatenate(pieces)[numbers], whole[numbers])


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_half_is_rounded_to_nearest_even(fmt):
    values = ALL_HALVES[np.isfinite(ALL_HALVES)].astype(np.float64)
    grid = code_values(fmt)[:128].astype(np.float64)
    grid = grid[np.isfinite(grid)]
    magnitudes = np.minimum(np.abs(values), fmt.largest)
    above = np.searchsorted(grid, magnitudes)
    below = np.maximum(above - 1, 0)
    to_above, to_below = grid[above] - magnitudes, magnitudes - grid[below]
    nearest = np.where((to_above < to_below) | ((to_above == to_below) & (above % 2 == 0)), above, below)
    np.testing.assert_array_equal(encode(values.astype(np.float32), fmt) & 0x7F, nearest)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("size", [5, 1 << 15])
def test_infinity_saturates_and_nan_stays(fmt, size):
    codes = encode(np.resize(np.array([np.inf, -np.inf, np.nan, 1e9, -1e9], np.float32), size), fmt)
    values = decode(codes[:5], fmt)
    np.testing.assert_array_equal(values[[0, 1, 3, 4]], fmt.largest * np.array([1, -1, 1, -1]))
    assert np.isnan(values[2])


@pytest.mark.parametrize("fmt", FORMATS)
def test_sign_of_zero_is_kept(fmt):
    np.testing.assert_array_equal(encode(np.array([0.0, -0.0], np.float32), fmt), [0x00, 0x80])


@pytest.mark.parametrize("fmt", FORMATS)
def test_agrees_with_onnxruntime_on_every_half(fmt):
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 23]> g (float[65536] x) => (float[65536] y)
        <float scale = {{0.37}}> {{ q = QuantizeLinear<output_dtype={int(fmt.onnx)}, saturate=1>(x, scale)
        y = DequantizeLinear(q, scale) }}"""
    )
    values = np.where(np.isfinite(ALL_HALVES), ALL_HALVES, 0).astype(np.float32)
    expected = OnnxExecutor(model)({"x": values})["y"]
    np.testing.assert_array_equal(round_trip(values, 0.37, fmt), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("fmt", FORMATS)
@given(absmax=st.floats(1e-30, 60000.0))
def test_scales_are_normal_and_nothing_saturates(fmt, dtype, absmax):
    scale = scales_for(absmax, fmt, dtype)
    assert scale.dtype == dtype
    assert scale >= ml_dtypes.finfo(dtype).smallest_normal
    assert absmax / float(scale) <= fmt.largest


@pytest.mark.parametrize("fmt", FORMATS)
@given(absmax=st.floats(1e-4, 60000.0))
def test_largest_value_is_represented_within_one_step(fmt, absmax):
    step = {Format.E4M3: 2**-4, Format.E5M2: 2**-3}[fmt]
    scale = scales_for(absmax, fmt, np.float16)
    assert abs(round_trip(np.float32([absmax]), scale, fmt)[0] - absmax) <= step * absmax


def test_a_small_e5m2_weight_gets_a_doubled_scale_not_a_subnormal_one():
    exact = 0.1 / 57344
    scale = float(scales_for(0.1, Format.E5M2, np.float16))
    assert scale >= 2.0**-14
    doublings = np.log2(scale / exact)
    assert abs(doublings - round(doublings)) < 1e-2


def test_channels_of_zeros_get_scale_one():
    np.testing.assert_array_equal(scales_for(np.zeros(3), Format.E4M3, np.float16), np.ones(3))


def test_values_that_are_not_finite_have_no_scale():
    with pytest.raises(PassError, match="NaN"):
        scales_for(np.array([1.0, np.nan]), Format.E4M3, np.float16)


@given(scale=st.floats(1e-12, 1e4))
def test_storable_scales_never_shrink(scale):
    assert float(storable_scales(scale, Format.E4M3, np.float16)) >= scale
