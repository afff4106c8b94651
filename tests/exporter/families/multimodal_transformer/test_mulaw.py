import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.families.multimodal_transformer.mulaw import decode_mulaw, encode_mulaw


def test_silence_stays_silence():
    np.testing.assert_array_equal(encode_mulaw(np.zeros(3, np.float32)), 128)
    np.testing.assert_array_equal(decode_mulaw(np.full(3, 128, np.uint8)), 0)


@given(st.floats(-1, 1, width=32))
def test_error_is_small_against_the_sample(value):
    decoded = decode_mulaw(encode_mulaw(np.array([value], np.float32)))[0]
    # half a step of the curve: about ln(256) / 254 of the sample, and of 1 / 255 near zero
    assert abs(decoded - value) <= 0.023 * (abs(value) + 1 / 255)


def test_codes_survive_a_round_trip():
    codes = np.arange(1, 256, dtype=np.uint8)
    np.testing.assert_array_equal(encode_mulaw(decode_mulaw(codes)), codes)


def test_samples_beyond_full_scale_are_clipped():
    np.testing.assert_array_equal(encode_mulaw(np.array([-9, 9], np.float32)), [1, 255])
