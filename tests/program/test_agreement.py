"""The measure of agreement."""

import math

import numpy as np
import pytest

from npuc.compare.bounds import AGREEMENT_BOUNDS
from program.agreement import relative_error, signal_to_noise

_REFERENCE = np.array([1.0, -4.0, 0.5], np.float32)


def test_relative_error_is_relative_to_the_largest_magnitude():
    assert relative_error(_REFERENCE, _REFERENCE + np.float32([0, 0, 0.25])) == pytest.approx(0.0625)
    assert relative_error(_REFERENCE, _REFERENCE) == 0


@pytest.mark.parametrize(
    "actual",
    [np.zeros(2), np.array([1, np.nan, 0.5]), np.array([1, np.inf, 0.5])],
    ids=["shape", "nan", "infinity"],
)
def test_results_that_cannot_agree_are_infinitely_far(actual):
    assert relative_error(_REFERENCE, actual) == math.inf


def test_coinciding_infinities_agree():
    values = np.array([np.inf, -np.inf, np.nan, 1.0])
    assert relative_error(values, values) == 0


def test_empty_and_zero_references():
    assert relative_error(np.zeros(0), np.zeros(0)) == 0
    assert relative_error(np.zeros(2), np.ones(2)) == math.inf


def test_signal_to_noise_of_one_percent_is_forty_decibels():
    assert signal_to_noise(_REFERENCE, _REFERENCE * 1.01) == pytest.approx(40, abs=0.01)
    assert signal_to_noise(_REFERENCE, _REFERENCE) == math.inf


def test_coarser_formats_have_wider_bounds():
    bounds = [AGREEMENT_BOUNDS[name] for name in ("float32", "float16", "e4m3", "e5m2")]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize(
    ("actual", "decibel"),
    [
        ([1.0, np.inf, np.nan], math.inf),
        ([1.1, np.inf, np.nan], 20.0),
        ([1.0, -np.inf, np.nan], -math.inf),
        ([1.0, 3.0, np.nan], -math.inf),
        ([np.inf, np.inf, np.nan], -math.inf),
        ([np.nan, np.inf, np.nan], -math.inf),
    ],
)
def test_noise_of_values_that_are_not_finite(actual, decibel):
    reference = np.array([1.0, np.inf, np.nan])
    assert signal_to_noise(reference, np.array(actual)) == pytest.approx(decibel)
