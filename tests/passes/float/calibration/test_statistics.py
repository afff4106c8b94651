import numpy as np
import pytest

from passes.float.calibration.statistics import BIN_VALUES, SAMPLE_ROWS, Statistics

RNG = np.random.default_rng(0)


def test_counts_are_exact_for_float16():
    values = RNG.standard_normal((50, 8)).astype(np.float16)
    statistics = Statistics()
    statistics.update(values)
    magnitudes, counts = np.unique(np.abs(values.astype(np.float32)), return_counts=True)
    seen = np.flatnonzero(statistics.counts)
    np.testing.assert_array_equal(BIN_VALUES[seen], magnitudes)
    np.testing.assert_array_equal(statistics.counts[seen], counts)


def test_runs_add_up():
    parts = [RNG.standard_normal((3, 8)).astype(np.float32) for _ in range(4)]
    one, many = Statistics(), Statistics()
    one.update(np.concatenate(parts))
    for part in parts:
        many.update(part)
    np.testing.assert_array_equal(one.counts, many.counts)
    assert one.absmax == many.absmax == np.abs(np.concatenate(parts)).max()


def test_values_beyond_float16_count_as_the_largest():
    statistics = Statistics()
    statistics.update(np.array([1e6, -2e6], np.float32))
    assert statistics.absmax == 2e6
    assert statistics.counts[-1] == 2


def test_the_sample_is_bounded_and_keeps_late_runs():
    statistics = Statistics()
    for run in range(20):
        statistics.update(np.full((2, 50, 4), run, np.float32))
    assert statistics.sample.shape[1] == 4
    assert SAMPLE_ROWS / 2 <= len(statistics.sample) <= SAMPLE_ROWS
    assert {0.0, 19.0} <= set(statistics.sample[:, 0])


def test_an_example_is_the_first_value():
    statistics = Statistics()
    statistics.update(np.zeros((1, 2, 3), np.float32), keep_example=True)
    statistics.update(np.ones((1, 2, 3), np.float32), keep_example=True)
    np.testing.assert_array_equal(statistics.example, np.zeros((1, 2, 3)))


def test_infinities_are_refused():
    with pytest.raises(ValueError, match="infinite"):
        Statistics().update(np.array([1, np.inf], np.float32))
