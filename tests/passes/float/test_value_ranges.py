import numpy as np
import pytest

from passes.core.graph_windows import cut_windows
from passes.core.infer_shapes import InferShapes
from passes.float.value_ranges import observe_ranges

SUMS = "g (float[2,4] x, float[2,4] z) => (float[2,4] y) { a = Neg(x)  d = Sub(z, x)  y = Mul(a, d) }"
SCORES = """g (float[2,4] x, float[2,4] m) => (float[2,4] y) <float half = {0.5}> {
  h = Mul(x, half)  s = Add(h, m)  y = Softmax<axis=-1>(s)
}"""


def ranges_of(model_from, text, *samples):
    model = model_from(text)
    InferShapes()(model)
    return observe_ranges(model, samples)


def rows(*values):
    return np.repeat(np.float32(values)[:, None], 4, axis=1)


def test_the_largest_magnitudes_of_all_runs(model_from):
    found = ranges_of(
        model_from, SUMS, {"x": rows(1, -3), "z": rows(0, 0)}, {"x": rows(2, 2), "z": rows(7, np.inf)}
    )
    assert {name: entry.largest for name, entry in found.items()} == {"x": 3, "z": 7, "a": 3, "d": 5, "y": 10}


def test_a_row_that_cancels_counts_and_an_exact_zero_does_not(model_from):
    found = ranges_of(model_from, SUMS, {"x": rows(100, 5), "z": rows(101, 5)})
    assert found["d"].cancelling == pytest.approx(101)
    assert found["y"].cancelling == 0


def test_operands_seen_in_an_earlier_window_count(model_from, monkeypatch):
    monkeypatch.setattr("passes.float.value_ranges.WINDOW_BYTES", 1)
    text = "g (float[2,4] x) => (float[2,4] y) <float c = {99.0}> { a = Neg(x)  b = Abs(a)  y = Sub(b, c) }"
    model = model_from(text)
    InferShapes()(model)
    assert len(list(cut_windows(model, 1))) == 3
    assert observe_ranges(model, [{"x": rows(100, 100)}])["y"].cancelling == pytest.approx(100)


def test_masked_scores_are_as_large_as_the_maxima_of_their_rows(model_from):
    mask = np.float32([[0, -3e38, 0, -3e38], [0, 0, 0, -1e30]])
    found = ranges_of(model_from, SCORES, {"x": rows(4, 6), "m": mask})
    assert found["s"].largest == 3 and found["m"].largest == 0
