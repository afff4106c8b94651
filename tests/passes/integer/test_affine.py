import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.integer.affine import Range, affine_encoding, dequantise, quantise
from program.number_format import IntegerType

lows = st.floats(-1e6, 0, allow_nan=False, width=32)
highs = st.floats(0, 1e6, allow_nan=False, width=32)


@given(lows, highs, st.floats(0, 1), st.sampled_from(["uint8", "uint16", "int16"]))
def test_values_of_the_range_are_off_by_half_a_step_at_most(low, high, share, name):
    kind = IntegerType(name)
    encoding = affine_encoding(Range(low, high), kind)
    values = np.array([low, high, low + share * (high - low), 0.0], np.float32)
    codes = quantise(values, encoding.scale, encoding.zero_point, kind)
    back = dequantise(codes, encoding.scale, encoding.zero_point)
    assert np.all(np.abs(back - values) <= 0.501 * encoding.scale + 2e-7 * np.abs(values))
    assert back[3] == 0


@given(lows, highs)
def test_every_8_bit_code_survives_the_round_trip(low, high):
    encoding = affine_encoding(Range(low, high), IntegerType.UINT8)
    codes = np.arange(256, dtype=np.uint8)
    values = dequantise(codes, encoding.scale, encoding.zero_point)
    np.testing.assert_array_equal(
        quantise(values, encoding.scale, encoding.zero_point, IntegerType.UINT8), codes
    )


def test_rounds_half_to_even_and_saturates():
    values = np.array([0.5, 1.5, 2.5, -0.5, 1e9, -1e9], np.float32)
    np.testing.assert_array_equal(quantise(values, 1.0, 10, IntegerType.UINT8), [10, 12, 12, 10, 255, 0])


def test_a_range_without_extent_has_a_step():
    assert affine_encoding(Range(0, 0), IntegerType.UINT16).scale == 1.0


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("uint8", 0, 255), ("int4", -8, 7), ("int16", -32768, 32767)]
)
def test_extremes_of_types(kind, low, high):
    assert (IntegerType(kind).lowest, IntegerType(kind).highest) == (low, high)
