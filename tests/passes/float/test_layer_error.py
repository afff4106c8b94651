import math

import numpy as np
import pytest

from passes.core.infer_shapes import InferShapes
from passes.float.calibration.calibrate import calibrate, calibration_method, choose_scales
from passes.float.insert_fp8_qdq import InsertFp8Qdq, quantised_inputs
from passes.float.layer_error import (
    LayerError,
    layer_errors,
    measure_layers,
    measured_layers,
    modality_errors,
    observe_layers,
)
from passes.float.precision import PrecisionPolicy
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import MODALITY_KEY

RNG = np.random.default_rng(0)
METHOD = calibration_method("absmax")
ONE_FORMAT = {
    fmt: PrecisionPolicy(Format.FLOAT32, dict.fromkeys(PrecisionPolicy().by_modality, fmt)) for fmt in Format
}


def single_layer(model_from, text, weight, modality="vision"):
    model = model_from(text, {"w": weight})
    model.graph[0].metadata_props[MODALITY_KEY] = modality
    return model


@pytest.mark.parametrize("fmt", [Format.E4M3, Format.E5M2])
@pytest.mark.parametrize(
    ("text", "shape", "x_shape"),
    [
        ("g (float[4,32] x, float[32,16] w) => (float[4,16] y) { y = MatMul(x, w) }", (32, 16), (4, 32)),
        (
            "g (float[4,32] x, float[16,32] w) => (float[4,16] y) { y = Gemm<transB=1>(x, w) }",
            (16, 32),
            (4, 32),
        ),
        (
            "g (float[1,4,9] x, float[6,4,3] w) => (float[1,6,4] y) { y = Conv<strides=[2]>(x, w) }",
            (6, 4, 3),
            (1, 4, 9),
        ),
    ],
    ids=["matmul", "gemm", "conv"],
)
def test_measured_error_is_that_of_the_quantised_graph(fmt, text, shape, x_shape, model_from):
    weight = RNG.standard_normal(shape).astype(np.float32)
    feeds = [{"x": RNG.standard_normal(x_shape).astype(np.float32)}]
    model = single_layer(model_from, text, weight)
    (error,) = layer_errors(model, feeds, ONE_FORMAT[fmt], METHOD)
    exact = OnnxExecutor(model)(feeds[0])["y"]
    InsertFp8Qdq(ONE_FORMAT[fmt], "part", calibrate(model, feeds, ONE_FORMAT[fmt], METHOD))(model)
    InferShapes()(model)
    quantised = OnnxExecutor(model)(feeds[0])["y"]
    received = np.linalg.norm(quantised - exact) / np.linalg.norm(exact)
    assert error.relative[fmt] == pytest.approx(received, rel=1e-3)


def test_e4m3_is_finer_on_normal_values(model_from):
    text = "g (float[64,64] x, float[64,64] w) => (float[64,64] y) { y = MatMul(x, w) }"
    model = single_layer(model_from, text, RNG.standard_normal((64, 64)).astype(np.float32))
    feeds = [{"x": RNG.standard_normal((64, 64)).astype(np.float32)}]
    (error,) = layer_errors(model, feeds, PrecisionPolicy(), METHOD)
    assert error.relative[Format.E5M2] == pytest.approx(2 * error.relative[Format.E4M3], rel=0.15)
    assert error.sqnr(Format.E4M3) - error.sqnr(Format.E5M2) == pytest.approx(6, abs=1.5)


def test_e5m2_is_better_where_the_range_is_wide(model_from):
    text = "g (float[8,64] x, float[64,64] w) => (float[8,64] y) { y = MatMul(x, w) }"
    scale = np.where(np.arange(64) < 1, 1.0, 1e-6).astype(np.float32)
    model = single_layer(
        model_from, text, (RNG.standard_normal((64, 64)) / scale[:, None] * 1e-6).astype(np.float32)
    )
    x = (RNG.standard_normal((8, 64)) * scale).astype(np.float32)
    (error,) = layer_errors(model, [{"x": x}], PrecisionPolicy(), METHOD)
    assert error.relative[Format.E5M2] < error.relative[Format.E4M3]


def test_kept_layers_are_not_measured(model_from):
    text = "g (float[4,32] x, float[32,16] lm_head) => (float[4,16] y) { y = MatMul(x, lm_head) }"
    model = model_from(text, {"lm_head": np.ones((32, 16), np.float32)})
    model.graph[0].metadata_props[MODALITY_KEY] = "text"
    assert measured_layers(model, PrecisionPolicy()) == []
    assert layer_errors(model, [], PrecisionPolicy(), METHOD) == []


def test_rows_of_the_report():
    errors = [
        LayerError("a", "wa", "vision", {Format.E4M3: 0.1, Format.E5M2: 0.2}),
        LayerError("b", "wb", "vision", {Format.E4M3: 0.01, Format.E5M2: 0.02}),
        LayerError("c", "wc", "text", {Format.E4M3: 0.0, Format.E5M2: 0.1}),
    ]
    rows = modality_errors(errors)
    assert [(row.modality, row.format.value, row.layers, row.worst_layer) for row in rows] == [
        ("text", "e4m3", 1, "wc"),
        ("text", "e5m2", 1, "wc"),
        ("vision", "e4m3", 2, "wa"),
        ("vision", "e5m2", 2, "wa"),
    ]
    assert rows[2].mean_sqnr == pytest.approx(30)
    assert rows[2].worst_sqnr == pytest.approx(20)
    assert rows[0].mean_sqnr == math.inf


def test_one_run_serves_measuring_and_calibration(model_from):
    text = "g (float[4,32] x, float[32,16] w) => (float[4,16] y) { y = MatMul(x, w) }"
    model = single_layer(model_from, text, RNG.standard_normal((32, 16)).astype(np.float32))
    feeds = [{"x": RNG.standard_normal((4, 32)).astype(np.float32)}]
    statistics = observe_layers(model, iter(feeds), PrecisionPolicy())
    assert measure_layers(model, statistics, PrecisionPolicy(), METHOD) == layer_errors(
        model, feeds, PrecisionPolicy(), METHOD
    )
    needed = quantised_inputs(model, PrecisionPolicy())
    assert choose_scales(statistics, needed, METHOD) == calibrate(model, feeds, PrecisionPolicy(), METHOD)
