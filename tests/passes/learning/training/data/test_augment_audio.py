import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passes.learning.training.data.add_noise import AddNoise, add_noise
from passes.learning.training.data.change_pitch import ChangePitch, change_pitch
from passes.learning.training.data.change_speed import ChangeSpeed, change_speed

RATE = 8000


def tone(frequency, seconds=1.0):
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(int(RATE * seconds)) / RATE)).astype(np.float32)


def loudest(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * RATE / len(samples)


@given(st.floats(-10, 50), st.integers(0, 1000), st.floats(0.001, 1.0))
def test_the_signal_to_noise_ratio_is_met(wanted, seed, level):
    signal = level * tone(300, 0.2)
    noise = add_noise(signal, wanted, np.random.default_rng(seed)).astype(np.float64) - signal
    ratio = 10 * np.log10(np.mean(signal.astype(np.float64) ** 2) / np.mean(noise**2))
    assert abs(ratio - wanted) < 0.1


def test_noise_is_drawn_from_the_range_and_silence_stays():
    signal = tone(300)
    ratios = []
    for seed in range(40):
        noise = AddNoise(30.0, 10.0)(signal, 0.5, np.random.default_rng(seed)) - signal
        ratios.append(10 * np.log10(np.mean(signal**2) / np.mean(noise**2)))
    assert 19.9 < min(ratios) < 22 and 28 < max(ratios) < 30.1
    silence = np.zeros(100, np.float32)
    assert add_noise(silence, 10.0, np.random.default_rng(0)) is silence


@pytest.mark.parametrize("speed", [0.8, 0.95, 1.1, 1.25])
def test_speed_changes_length_and_pitch(speed):
    changed = change_speed(tone(400), speed)
    assert len(changed) == pytest.approx(RATE / speed, rel=2e-3)
    assert loudest(changed) == pytest.approx(400 * speed, rel=0.01)


@pytest.mark.parametrize("semitones", [-5, -1, 2, 7, 12])
def test_pitch_changes_and_length_stays(semitones):
    original = tone(400)
    changed = change_pitch(original, semitones)
    assert len(changed) == len(original)
    assert loudest(changed) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.01)
    middle = slice(1000, -1000)
    assert np.std(changed[middle]) == pytest.approx(np.std(original[middle]), rel=0.15)


@pytest.mark.parametrize("augmentation", [ChangeSpeed(), ChangePitch(), AddNoise()])
def test_the_seed_decides(augmentation):
    def apply(seed, strength=1.0):
        return augmentation(tone(300), strength, np.random.default_rng(seed))

    assert apply(1).dtype == np.float32
    assert np.array_equal(apply(1), apply(1))
    assert apply(1).shape != apply(2).shape or not np.array_equal(apply(1), apply(2))


@pytest.mark.parametrize("augmentation", [ChangeSpeed(), ChangePitch()])
def test_strength_zero_changes_nothing(augmentation):
    assert np.array_equal(augmentation(tone(300), 0.0, np.random.default_rng(1)), tone(300))


def test_a_very_short_sound_passes_a_pitch_change():
    assert len(change_pitch(tone(300, 0.01), 3.0)) == 80
