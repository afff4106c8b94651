import numpy as np
import pytest

from npuc.agreement import Bound, Reference
from npuc.sensitivity import LEAST, MARGIN, attainable_bound, sensitivity

FEEDS = [{"x": np.random.default_rng(0).normal(size=(64, 64)).astype(np.float16), "ids": np.arange(3)}]


def _amplify(factor):
    """A component that passes differences between rows on `factor` times larger than the rows."""

    def execute(feed):
        x = feed["x"].astype(np.float64)
        return {"y": x + factor * (x - FEEDS[0]["x"])}

    return Reference(execute)


def test_a_component_that_passes_its_input_on_has_the_last_place_as_noise():
    # one unit in the last place of float16 is between 2^-11 and 2^-10 of a value
    assert 60.2 <= sensitivity(_amplify(0), FEEDS) <= 66.3


def test_noise_grows_as_the_component_amplifies_it():
    assert sensitivity(_amplify(0), FEEDS) - sensitivity(_amplify(99), FEEDS) == pytest.approx(40, abs=0.1)


def test_same_seed_same_figure():
    assert sensitivity(_amplify(3), FEEDS) == sensitivity(_amplify(3), FEEDS)


def test_no_float_inputs():
    assert sensitivity(Reference(lambda feed: {"y": feed["ids"] * 1.0}), FEEDS) is None
    assert attainable_bound(
        Bound(min_sqnr=25.0), Reference(lambda feed: {"y": feed["ids"] * 1.0}), FEEDS
    ) == Bound(min_sqnr=25.0)


def test_the_given_bound_stays_where_the_reference_keeps_more():
    bound = Bound(min_sqnr=25.0)
    assert attainable_bound(bound, _amplify(10), FEEDS) is bound


def test_the_bound_is_what_the_reference_keeps_itself():
    own = sensitivity(_amplify(255), FEEDS)
    assert 10 < own < 25
    assert attainable_bound(Bound(min_sqnr=25.0), _amplify(255), FEEDS) == Bound(
        min_sqnr=round(own - MARGIN, 1), own=True
    )


def test_a_reference_without_footing_passes_nothing_on():
    assert sensitivity(_amplify(10_000), FEEDS) < 0
    assert attainable_bound(Bound(min_sqnr=25.0), _amplify(10_000), FEEDS).min_sqnr == LEAST


def test_the_manifest_states_and_reads_such_a_bound():
    bound = Bound(min_sqnr=21.2, own=True)
    assert str(bound) == "SQNR >= 21.2 dB, as its reference by itself"
    assert Bound.parse(str(bound)) == bound


def test_a_bound_on_the_largest_difference_stays():
    bound = Bound(max_relative_error=1e-3)
    assert attainable_bound(bound, _amplify(10_000), FEEDS) is bound
