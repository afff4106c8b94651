import numpy as np
import pytest

from npuc.compare.records import NOT_FINITE
from npuc.compare.source.precision import PrecisionJob, measure_precision
from npuc.compare.source.precision_bound import PrecisionBound, format_bound, precision_bound
from npuc.compare.source.samples import Answered, Sample
from npuc.settings.recipe import Gates
from targets.contract.npu_format import STANDARD

RATIO = PrecisionBound(40.0, 0.9)
DECISIONS = PrecisionBound(10.0, 0.9, by_decisions=True)


def answered(values, edge="", usual=True):
    return Answered(Sample({"x": values}, edge, usual), {"y": values})


def job(rows, executor, bound=RATIO, scores=()):
    return PrecisionJob(
        rows, lambda feeds: {"y": executor(feeds["x"])}, dict(scores), bound, lambda _row: "node n"
    )


def noisy(decibels):
    def executor(values):
        noise = np.random.default_rng(1).standard_normal(values.shape).astype(np.float32)
        scale = np.linalg.norm(values) / np.linalg.norm(noise) * 10 ** (-decibels / 20)
        return values + noise * np.float32(scale)

    return executor


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)


@pytest.mark.parametrize(("decibels", "passed"), [(41, True), (39, False)])
def test_the_ratio_decides_without_scores(values, decibels, passed):
    record = measure_precision(job([answered(values)], noisy(decibels)))
    assert record.sqnr == pytest.approx(decibels, abs=0.1)
    assert record.passed is passed
    assert record.lost_at == ("" if passed else "node n")
    assert record.bound == "SQNR >= 40 dB"


def test_an_equal_output_is_exact(values):
    record = measure_precision(job([answered(values)], lambda given: given))
    assert record.sqnr is None
    assert record.passed


def test_the_worst_output_decides_not_all_outputs_together(values):
    row = Answered(Sample({"x": values}), {"large": values * 1000, "small": values})
    executor = noisy(20)
    record = measure_precision(
        PrecisionJob(
            [row], lambda f: {"large": f["x"] * 1000, "small": executor(f["x"])}, {}, RATIO, lambda _row: ""
        )
    )
    assert record.output == "small"
    assert not record.passed


def test_enough_clear_decisions_stand_in_for_the_ratio():
    scores = np.eye(20, dtype=np.float32) * 10
    turned = np.roll(scores, 1, axis=1)
    few, many = scores.copy(), scores.copy()
    few[:2], many[:3] = turned[:2], turned[:3]
    for returned, passed in ((few, True), (many, False)):
        record = measure_precision(
            job([answered(scores)], lambda _x, returned=returned: returned, DECISIONS, {"y": "logits"})
        )
        assert record.passed is passed
        assert record.decisions == 20
        assert record.top == pytest.approx(0.9 if passed else 0.85)


def test_few_decisions_are_no_measure(values):
    scores = np.eye(4, 20, dtype=np.float32) * 10
    record = measure_precision(job([answered(scores)], noisy(12), DECISIONS, {"y": "logits"}))
    assert record.passed
    assert record.decisions == 4


def test_values_that_are_not_finite_fail_whatever_the_decisions():
    scores = np.eye(20, dtype=np.float32) * 10

    def broken(given):
        result = given.copy()
        result[0, 0] = np.inf
        return result

    record = measure_precision(job([answered(scores)], broken, DECISIONS, {"y": "logits"}))
    assert record.sqnr == NOT_FINITE
    assert not record.passed


def test_at_the_edge_values_only_have_to_be_finite(values):
    rows = [answered(values), answered(values * 0 + 1, "floats are 1")]

    def far(given):
        return given if np.ptp(given) else given * 3

    assert measure_precision(job(rows, far)).passed

    def infinite(given):
        return given if np.ptp(given) else given * np.inf

    record = measure_precision(job(rows, infinite))
    assert not record.passed
    assert record.edges == ("floats are 1",)
    assert record.lost_at == "node n"


def test_unusual_sizes_are_not_for_this_gate(values):
    rows = [answered(values), answered(values * 1e6, "floats are large", usual=False)]
    assert measure_precision(job(rows, lambda given: np.where(abs(given) > 1e4, np.inf, given))).passed


def test_whole_numbers_are_decisions():
    classes = np.arange(30)
    one, many = classes.copy(), classes.copy()
    one[0] = many[:4] = -1
    for returned, passed in ((one, True), (many, False)):
        record = measure_precision(
            job([answered(classes)], lambda _x, returned=returned: returned, scores={"y": "index"})
        )
        assert record.passed is passed
        assert record.bound == "90% of decisions"


def test_other_integers_are_quantities():
    values = np.arange(1000, 3000)
    assert measure_precision(job([answered(values)], lambda given: given + 1)).passed
    assert not measure_precision(job([answered(values)], lambda given: given // 2)).passed


def test_a_truth_value_is_a_decision():
    values = np.arange(40) % 3 == 0
    assert not measure_precision(job([answered(values)], np.logical_not)).passed


def test_a_single_decision_that_is_lost_is_lost():
    record = measure_precision(job([answered(np.array([3]))], lambda given: given + 1, scores={"y": "index"}))
    assert not record.passed


@pytest.mark.parametrize(("decibels", "passed"), [(0, False), (20, True)])
def test_noise_that_covers_what_varies_fails_whatever_the_offset(values, decibels, passed):
    noise = noisy(decibels)
    record = measure_precision(job([answered(values + 293)], lambda given: noise(given - 293) + 293))
    assert record.passed is passed


def test_values_that_hardly_vary_are_judged_as_they_are(values):
    steady = 1 - values * np.float32(1e-5)
    assert measure_precision(job([answered(steady)], lambda given: given.astype(np.float16))).passed


def test_the_constant_of_a_mask_is_not_the_signal(values):
    masked = np.where(np.arange(8) % 2, np.float32(-1e9), values)
    noise = noisy(15)

    def executor(given):
        return np.where(given < -1e8, given, noise(np.where(given < -1e8, 0, given)))

    record = measure_precision(job([answered(masked)], executor))
    assert not record.passed
    assert record.sqnr == pytest.approx(18, abs=1)  # half of the noise of 15 dB is at the mask


def test_without_an_ordinary_sample_there_is_nothing_to_say(values):
    assert measure_precision(job([answered(values, "floats are 0")], lambda given: given)) is None


@pytest.mark.parametrize(
    ("formats", "base", "sqnr"),
    [(("float32",), "float32", 80), (("float16",), "float16", 40), (("float16", "e5m2"), "float16", 10)],
)
def test_the_least_precise_format_chooses_the_bound(formats, base, sqnr):
    assert precision_bound(formats, base, Gates()).min_sqnr == sqnr


@pytest.mark.parametrize(
    ("scheme", "formats", "sqnr"),
    [
        ("float16", (), 40),
        ("float16", ("e4m3",), 10),
        ("a16w8", ("e4m3",), 30),
        ("a8w8", (), 10),
        ("a16w4", (), 10),
    ],
)
def test_a_scheme_of_an_npu_has_its_own(scheme, formats, sqnr):
    assert format_bound(STANDARD[scheme].source_gate, formats, Gates()).min_sqnr == sqnr
