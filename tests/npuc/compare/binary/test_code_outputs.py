"""Codes that a segment returns are compared as the numbers they stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from npuc.compare.binary.agreement import Bound, Reference, compare
from npuc.compare.binary.code_outputs import code_decoder
from program.onnx_executor import OnnxExecutor

_SCALE, _ZERO_POINT = 0.001, 30_000


def _segment(folder: Path) -> Path:
    """Returns 16-bit codes, the same ones moved, and a float."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["codes"]),
        helper.make_node("Transpose", ["codes"], ["moved"], perm=[1, 0]),
        helper.make_node("Neg", ["x"], ["y"]),
    ]
    outputs = [
        helper.make_tensor_value_info("codes", TensorProto.UINT16, [4, 8]),
        helper.make_tensor_value_info("moved", TensorProto.UINT16, [8, 4]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 8]),
    ]
    constants = [
        helper.make_tensor("scale", TensorProto.FLOAT, [], [_SCALE]),
        helper.make_tensor("zero", TensorProto.UINT16, [], [_ZERO_POINT]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 8])]
    graph = helper.make_graph(nodes, "segment", inputs, outputs, constants)
    path = folder / "segment.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10), path)
    return path


@pytest.fixture
def feeds() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)}


def test_codes_become_numbers_and_floats_stay(tmp_path: Path, feeds: dict[str, np.ndarray]) -> None:
    path = _segment(tmp_path)
    outputs = code_decoder(ir.load(path))(OnnxExecutor(path))(feeds)
    np.testing.assert_allclose(outputs["codes"], feeds["x"], atol=0.51 * _SCALE)
    np.testing.assert_allclose(outputs["moved"], feeds["x"].T, atol=0.51 * _SCALE)
    np.testing.assert_array_equal(outputs["y"], -feeds["x"])


def test_the_zero_point_is_no_signal(tmp_path: Path, feeds: dict[str, np.ndarray]) -> None:
    """Codes off by a tenth of the numbers' deviation: 20 dB, not the 50 dB that the zero point would make of it."""
    path = _segment(tmp_path)
    reference, decoded = OnnxExecutor(path), code_decoder(ir.load(path))

    def noisy(fed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        outputs = reference(fed)
        noise = np.random.default_rng(1).normal(0, 0.1 / _SCALE, (4, 8)).astype(np.int64)
        return outputs | {"codes": (outputs["codes"] + noise).astype(np.uint16)}

    agreement = compare(Reference(decoded(reference)), decoded(noisy), [feeds], Bound(min_sqnr=50))
    assert agreement.sqnr is not None
    assert 18 < agreement.sqnr < 22  # of the one output of three that is not exact
    assert not agreement.passed


def test_a_wrong_float_beside_codes_is_seen(tmp_path: Path, feeds: dict[str, np.ndarray]) -> None:
    path = _segment(tmp_path)
    reference, decoded = OnnxExecutor(path), code_decoder(ir.load(path))

    def wrong(fed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return reference(fed) | {"y": fed["x"]}

    agreement = compare(Reference(decoded(reference)), decoded(wrong), [feeds], Bound(min_sqnr=30))
    assert not agreement.passed
