import numpy as np
import pytest

from passes.core.errors import PassError
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import PrecisionPolicy
from program.number_format import Format
from program.program import MODALITY_KEY

TEXT = """g (float[2,4] x, float[4,4] w, float[4,4] v) => (float[2,4] y) {
  a = MatMul(x, w)  r = Relu(a)  y = MatMul(r, v)
}"""


def build(model_from, modalities):
    eye = np.eye(4, dtype=np.float32)
    model = model_from(TEXT, {"w": eye, "v": eye})
    for node, modality in zip(model.graph, modalities, strict=True):
        node.metadata_props[MODALITY_KEY] = modality
    return model


def test_each_quantised_input_gets_the_scale_of_its_format(model_from):
    model = build(model_from, ["vision", "text", "text"])
    feeds = [{"x": np.full((2, 4), -8, np.float32)}, {"x": np.full((2, 4), 4, np.float32)}]
    scales = calibrate(model, feeds, PrecisionPolicy(), calibration_method("absmax"))
    assert scales == {("x", Format.E4M3): 8 / 448, ("r", Format.E5M2): 4 / 57344}


def test_nothing_runs_where_nothing_is_quantised(model_from):
    model = build(model_from, ["fusion"] * 3)
    assert calibrate(model, [], PrecisionPolicy(), calibration_method("absmax")) == {}


@pytest.mark.parametrize("name", ["absmax", "percentile", "least_error"])
def test_methods_by_name(name, model_from):
    model = build(model_from, ["vision"] * 3)
    feeds = [{"x": np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)}]
    scales = calibrate(model, feeds, PrecisionPolicy(), calibration_method(name))
    assert all(0 < scale < 1 for scale in scales.values())


def test_unknown_methods_are_refused():
    with pytest.raises(PassError, match="least_error"):
        calibration_method("guess")
