"""The vendor's tool, where it is installed; the bundled model and a tiny Qwen3-VL as the compiler gets them."""

import functools

import pytest

from exporter.options import CaptureOptions
from exporter.sources import open_source
from npuc.stages.capture.observe import record_feeds
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import PrecisionPolicy
from passes.pipeline import directly_read_weights, normalize, quantize
from program.onnx_executor import OnnxExecutor
from tests.graphs import (  # noqa: F401
    component_of,
    feeds_for,
    model_from,
    parity,
    same_graph,
)
from tests.tiny_qwen3_vl import build

OPTIONS = CaptureOptions(image_size=(64, 64), prefill_length=16, cache_length=64, requests=1)


@pytest.fixture(scope="session")
def quantised(tmp_path_factory):
    """Model → (its components with FP8 layers, what they are fed in the first request); captured when asked for."""

    @functools.cache
    def make(model):
        if model == "demo":
            return _quantised("demo")
        folder = tmp_path_factory.mktemp("tiny_qwen3_vl")
        build(folder, tied=True)
        return _quantised(folder)

    return make


def _quantised(source):
    program = open_source(source, OPTIONS)
    keep = directly_read_weights(program)
    for component in program.components.values():
        normalize(component, keep)
    executors = {name: OnnxExecutor(component.model) for name, component in program.components.items()}
    feeds = record_feeds(program, executors, program.requests[:1])
    policy, method = PrecisionPolicy(), calibration_method("absmax")
    for name, component in program.components.items():
        quantize(component, policy, calibrate(component.model, feeds[name], policy, method))
    return program.components, feeds


@pytest.fixture(autouse=True)
def _reproducers(temporary_folder):
    pass
