"""The bundled model and a tiny Qwen3-VL, captured once; graphs of each precision made from them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from exporter.sources import open_source
from passes.float.calibration.calibrate import calibrate, calibration_method
from passes.float.precision import PrecisionPolicy
from passes.pipeline import quantize
from program.program import Component, Program
from tests.captures import clone, normalised

HEADER = '<ir_version: 10, opset_import: ["" : 23]>'


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread):
    pass


@pytest.fixture(scope="package")
def programs(tiny_qwen):
    """Name and precision → program: captured, normalised, float16, fp8."""
    made = {}
    for name, captured in (("demo", open_source("demo")), ("qwen", tiny_qwen)):
        made |= {(name, precision): program for precision, program in _precisions(captured).items()}
    return made


def _precisions(captured: Program) -> dict[str, Program]:
    whole = normalised(captured)
    half, fp8 = clone(whole), clone(whole)
    for component in half.components.values():
        quantize(component, PrecisionPolicy(by_modality={}), {})
    policy, method = PrecisionPolicy(), calibration_method("absmax")
    for component in fp8.components.values():
        feeds = [seeded(component, seed) for seed in (1, 2)]
        quantize(component, policy, calibrate(component.model, feeds, policy, method))
    return {"captured": captured, "normalised": whole, "float16": half, "fp8": fp8}


def seeded(component: Component, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal values, small indices, masks of 0 and -1e4."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for spec in component.inputs:
        if spec.dtype == ir.DataType.INT64:
            feeds[spec.name] = rng.integers(0, 3, spec.shape)
        elif "mask" in spec.name:
            feeds[spec.name] = np.where(rng.random(spec.shape) < 0.3, -1e4, 0).astype(spec.numpy_dtype)
        else:
            feeds[spec.name] = rng.standard_normal(spec.shape).astype(np.float32).astype(spec.numpy_dtype)
    return feeds


@pytest.fixture(scope="package")
def feeds_of():
    return seeded


@pytest.fixture(scope="package")
def clone_of():
    return clone


@pytest.fixture(scope="package")
def parse():
    """`graph (inputs) => (outputs) { nodes }` to a model, with node names."""

    def make(text: str) -> ir.Model:
        model = ir.from_onnx_text(f"{HEADER} {text}")
        for index, node in enumerate(model.graph):
            node.name = f"{node.op_type.lower()}_{index}"
        return model

    return make
