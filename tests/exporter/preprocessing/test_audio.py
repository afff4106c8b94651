import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.preprocessing.audio import LogMel, mel_filters, read_wav, resample


def tone(seconds, rate, frequency=440.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate).astype(np.float32) * 0.5


def write_wav(path, samples, rate=8000, width=2, channels=1):
    scaled = np.round(np.asarray(samples, np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        data = (scaled + 128).astype(np.uint8).tobytes()
    else:
        data = b"".join(int(value).to_bytes(width, "little", signed=True) for value in scaled)
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(data)


@pytest.mark.parametrize("seconds", [0.2, 3.0, 30.0, 31.0])
def test_log_mel_equals_whisper(seconds):
    from transformers import WhisperFeatureExtractor

    rng = np.random.default_rng(0)
    samples = (tone(seconds, 16000) + rng.normal(size=int(seconds * 16000)) * 0.05).astype(np.float32)
    expected = WhisperFeatureExtractor()(samples, sampling_rate=16000, return_tensors="np")["input_features"][
        0
    ]
    assert np.abs(LogMel()(samples, 16000) - expected).max() <= 1e-4


def test_log_mel_equals_whisper_with_128_bins():
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=128)
    samples = tone(2.0, 16000, 3000.0)
    expected = extractor(samples, sampling_rate=16000, return_tensors="np")["input_features"][0]
    assert np.abs(LogMel(mel_bins=128)(samples, 16000) - expected).max() <= 1e-4


def test_silence_has_the_floor_everywhere():
    mel = LogMel(8000, 256, 100, 48, 12800)(np.zeros(4000, np.float32), 8000)
    assert mel.shape == (48, 128)
    np.testing.assert_array_equal(mel, np.float32(-1.5))


def test_sound_of_another_rate_is_resampled():
    log_mel = LogMel(8000, 256, 100, 48, 8000)
    at_8000, at_22050 = log_mel(tone(1, 8000), 8000), log_mel(tone(1, 22050), 22050)
    # a pure tone's skirts differ by the filter; the peak must not
    assert np.abs(at_8000.max(axis=0) - at_22050.max(axis=0))[5:-5].max() < 0.01
    assert (at_8000.argmax(axis=0) == at_22050.argmax(axis=0))[5:-5].all()


def test_filters_peak_in_rising_order():
    filters = mel_filters(8000, 256, 48)
    assert filters.shape == (48, 129)
    assert (np.diff(filters.argmax(axis=1)) >= 0).all()
    assert (filters.sum(axis=1) > 0).all()


@given(st.integers(1, 5), st.integers(1, 5), st.integers(10, 400))
def test_resampling_changes_the_length_by_the_ratio(up, down, count):
    resampled = resample(np.ones(count, np.float32), 1000 * down, 1000 * up)
    assert resampled.dtype == np.float32
    assert len(resampled) == -(-count * up // down)


@pytest.mark.parametrize("rates", [(0, 8000), (8000, 0), (-1, 8000)])
def test_a_rate_that_is_not_positive_is_refused(rates):
    with pytest.raises(SourceError, match="must be positive"):
        resample(np.zeros(4, np.float32), *rates)


@pytest.mark.parametrize(("width", "tolerance"), [(1, 0.02), (2, 1e-4), (3, 1e-6), (4, 1e-6)])
def test_read_wav_decodes_every_sample_width(tmp_path, width, tolerance):
    samples = tone(0.1, 8000)
    write_wav(tmp_path / "sound.wav", samples, width=width)
    read, rate = read_wav(tmp_path / "sound.wav")
    assert (rate, read.dtype) == (8000, np.float32)
    np.testing.assert_allclose(read, samples, atol=tolerance)


def test_read_wav_averages_channels(tmp_path):
    left, right = tone(0.1, 8000), tone(0.1, 8000, 100.0)
    write_wav(tmp_path / "stereo.wav", np.stack([left, right], 1).reshape(-1), channels=2)
    np.testing.assert_allclose(read_wav(tmp_path / "stereo.wav")[0], (left + right) / 2, atol=1e-4)


def test_read_wav_refuses_an_empty_sound(tmp_path):
    write_wav(tmp_path / "empty.wav", [])
    with pytest.raises(SourceError, match="empty") as caught:
        read_wav(tmp_path / "empty.wav")
    assert "empty.wav" in caught.value.where


def test_read_wav_refuses_a_long_sound_before_reading_it(tmp_path):
    write_wav(tmp_path / "long.wav", tone(2, 8000))
    with pytest.raises(SourceError, match="too long") as caught:
        read_wav(tmp_path / "long.wav", max_seconds=1)
    assert caught.value.received == "16000 samples at 8000 Hz"


def compressed_wav():
    fmt = struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8)  # format 7 is mu-law
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", 4) + bytes(4)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("content", [b"", b"not a sound", b"RIFF\x04\x00\x00\x00WAVE", compressed_wav()])
def test_read_wav_refuses_what_is_no_pcm(tmp_path, content):
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(SourceError, match="cannot be read") as caught:
        read_wav(tmp_path / "bad.wav")
    assert "ffmpeg" in caught.value.remedy


def test_read_wav_names_a_missing_file(tmp_path):
    with pytest.raises(SourceError) as caught:
        read_wav(tmp_path / "absent.wav")
    assert caught.value.exit_code == 2
    assert "absent.wav" in str(caught.value)


def test_a_truncated_sound_is_read_as_far_as_it_goes(tmp_path):
    write_wav(tmp_path / "cut.wav", tone(0.1, 8000))
    data = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[:-101])
    read, _ = read_wav(tmp_path / "cut.wav")
    assert 0 < len(read) < 800
