import dataclasses

import numpy as np
import pytest

from passes.core.errors import PassError
from passes.core.infer_shapes import InferShapes
from passes.float.value_ranges import ValueRange
from passes.float.widening import Widening, watcher_of, widenings
from program.program import Role

TEXT = "g (float[3,4] x, float[4,4] w) => (float[3,4] y) { m = MatMul(x, w)  y = Neg(m) }"


@pytest.fixture
def component(model_from, component_of):
    model = model_from(TEXT, {"w": np.eye(4, dtype=np.float32)})
    InferShapes()(model)
    return component_of(model)


def test_what_a_model_gives_stays_float32(component):
    ranges = {"x": ValueRange(1), "y": ValueRange(1e5)}
    assert Widening(ranges).boundaries(component) == {"y"}


def test_what_a_component_hands_on_is_float16_or_refused(component):
    part = dataclasses.replace(component, role=Role.VISION_ENCODER)
    assert Widening({"y": ValueRange(2e4)}).boundaries(part) == frozenset()
    with pytest.raises(PassError, match=r"100000.*\n.*base = \"float32\""):
        Widening({"y": ValueRange(1e5)}).boundaries(part)


def test_a_weight_of_two_components_is_wide_in_both(component, model_from, component_of):
    other = component_of(model_from(TEXT, {"w": np.eye(4, dtype=np.float32)}), "other")
    InferShapes()(other.model)
    components = {"part": component, "other": other}
    watchers = {name: watcher_of(entry) for name, entry in components.items()}
    watchers["part"].see(0, {"m": np.full((3, 4), 1e5, np.float32)})
    found = widenings(components, watchers)
    assert {name: entry.weights for name, entry in found.items()} == {"part": {"w"}, "other": {"w"}}
    assert not found["other"].ranges


def test_a_float16_graph_is_not_watched(model_from, component_of):
    assert watcher_of(component_of(model_from("g (float16[3] x) => (float16[3] y) { y = Neg(x) }"))) is None
