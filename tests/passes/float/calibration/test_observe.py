import numpy as np
import pytest

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes
from passes.float.calibration.observe import observe
from passes.float.value_ranges import RangeWatcher

TEXT = "g (float[2,3] x) => (float[2,3] y) { h = Abs(x)  y = Neg(h) }"


def test_inputs_and_intermediate_values_are_observed(model_from):
    feeds = [{"x": np.full((2, 3), value, np.float32)} for value in (-1.0, 2.0)]
    result = observe(model_from(TEXT), iter(feeds), ["x", "h"], examples=["h"])
    assert {name: item.absmax for name, item in result.items()} == {"h": 2.0, "x": 2.0}
    assert result["h"].counts.sum() == 12
    np.testing.assert_array_equal(result["h"].example, np.ones((2, 3)))
    assert result["x"].example is None


def test_a_watcher_sees_every_value_and_the_statistics_are_the_same(model_from):
    model, feeds = model_from(TEXT), [{"x": np.full((2, 3), value, np.float32)} for value in (-1.0, 2.0)]
    InferShapes()(model)
    watcher = RangeWatcher(model.graph)
    watched = observe(model, iter(feeds), ["x", "h"], ["h"], watcher)
    plain = observe(model, feeds, ["x", "h"], ["h"])
    assert {name: entry.largest for name, entry in watcher.ranges.items()} == {"x": 2, "h": 2, "y": 2}
    for name, expected in plain.items():
        np.testing.assert_array_equal(watched[name].counts, expected.counts)
        np.testing.assert_array_equal(watched[name].sample, expected.sample)
    np.testing.assert_array_equal(watched["h"].example, plain["h"].example)


def test_the_model_is_not_changed(model_from):
    model = model_from(TEXT)
    observe(model, [{"x": np.zeros((2, 3), np.float32)}], ["h"])
    assert [value.name for value in model.graph.outputs] == ["y"]


def test_no_feeds_is_an_error(model_from):
    with pytest.raises(PassError, match="no request"):
        observe(model_from(TEXT), [], ["h"])


def test_activations_that_are_not_finite_name_the_tensor(model_from):
    with pytest.raises(PassError, match=r"where: +h"):
        observe(model_from(TEXT), [{"x": np.full((2, 3), np.inf, np.float32)}], ["h"])
