import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passes.float.calibration.absmax import absmax
from passes.float.calibration.least_error import least_error
from passes.float.calibration.percentile import percentile
from passes.float.calibration.statistics import Statistics
from passes.float.fp8 import round_trip
from program.number_format import Format

FORMATS = [Format.E4M3, Format.E5M2]


def statistics_of(values):
    statistics = Statistics()
    statistics.update(values)
    return statistics


def squared_error(values, scale, fmt):
    return float(np.sum((round_trip(values, scale, fmt) - values) ** 2))


@pytest.mark.parametrize("fmt", FORMATS)
def test_absmax_uses_the_whole_range(fmt):
    assert absmax(statistics_of(np.array([3.0, -7.0], np.float32)), fmt) == 7 / fmt.largest


@pytest.mark.parametrize("method", [absmax, percentile, least_error])
def test_zeros_get_a_usable_scale(method):
    assert method(statistics_of(np.zeros(5, np.float32)), Format.E4M3) > 0


def test_percentile_ignores_outliers():
    values = np.concatenate([np.linspace(0, 1, 100_000), [1000.0]]).astype(np.float32)
    scale = percentile(statistics_of(values), Format.E4M3, share=99.9)
    assert scale * 448 == pytest.approx(0.999, abs=2e-3)


def test_percentile_of_everything_is_absmax():
    statistics = statistics_of(np.array([0.5, 2.0, 4.0], np.float32))
    assert percentile(statistics, Format.E5M2, share=100) == absmax(statistics, Format.E5M2)


@pytest.mark.parametrize("fmt", FORMATS)
@given(seed=st.integers(0, 1000), spread=st.floats(0.1, 2.0), factor=st.floats(1e-3, 100))
@settings(max_examples=15, deadline=None)
def test_least_error_is_never_worse_than_absmax(fmt, seed, spread, factor):
    rng = np.random.default_rng(seed)
    spread_values = rng.standard_normal(2000) * np.exp(spread * rng.standard_normal(2000)) * factor
    values = np.clip(spread_values, -60000, 60000).astype(np.float16).astype(np.float32)
    statistics = statistics_of(values)
    best = squared_error(values, least_error(statistics, fmt), fmt)
    assert best <= squared_error(values, absmax(statistics, fmt), fmt) * (1 + 1e-6)


def test_least_error_gains_on_values_below_a_power_of_two():
    values = np.full(1000, 0.9, np.float32)
    values[0] = 1.0
    statistics = statistics_of(values)
    gain = squared_error(values, absmax(statistics, Format.E4M3), Format.E4M3)
    assert squared_error(values, least_error(statistics, Format.E4M3), Format.E4M3) < gain
