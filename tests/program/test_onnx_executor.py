"""The reference executor: what it computes, and where weights are while it does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from program import onnx_executor
from program.onnx_executor import OnnxExecutor
from tests.memory import private_bytes

_WIDTH = 1024
_LAYERS = 16


def _chain(layers: int = _LAYERS) -> ir.Model:
    """Products with matrices of 4 MiB each."""
    rng = np.random.default_rng(0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2, _WIDTH]))
    weights, nodes, value = [], [], x
    for index in range(layers):
        matrix = rng.standard_normal((_WIDTH, _WIDTH), np.float32) / np.float32(_WIDTH**0.5)
        name = f"weight_{index}"
        weights.append(ir.Value(name=name, const_value=ir.tensor(matrix, name=name)))
        nodes.append(ir.Node("", "MatMul", [value, weights[-1]], name=f"layer_{index}"))
        value = nodes[-1].outputs[0]
        value.name, value.type, value.shape = f"hidden_{index}", x.type, x.shape
    graph = ir.Graph([x], [value], nodes=nodes, initializers=weights, opset_imports={"": 23}, name="chain")
    return ir.Model(graph, ir_version=10)


def _stored(folder: Path) -> ir.Model:
    path = folder / "chain.onnx"
    ir.save(_chain(), path, external_data="weights.bin", size_threshold_bytes=1024)
    return ir.load(path)


def _feeds() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).standard_normal((2, _WIDTH), np.float32)}


def test_weights_in_a_file_give_the_result_of_weights_in_memory(tmp_path: Path) -> None:
    name = f"hidden_{_LAYERS - 1}"
    expected = OnnxExecutor(_chain())(_feeds())[name]
    np.testing.assert_array_equal(OnnxExecutor(_stored(tmp_path))(_feeds())[name], expected)
    np.testing.assert_array_equal(OnnxExecutor(tmp_path / "chain.onnx")(_feeds())[name], expected)


def test_weights_in_one_folder_are_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _stored(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryDirectory", None)
    results = OnnxExecutor(model, ["hidden_0"])(_feeds())
    assert sorted(results) == ["hidden_0", f"hidden_{_LAYERS - 1}"]


def test_weights_of_two_folders_are_put_together(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    model, other = _stored(first), _stored(second)
    model.graph.initializers["weight_3"].const_value = other.graph.initializers["weight_3"].const_value
    name = f"hidden_{_LAYERS - 1}"
    expected = OnnxExecutor(_chain())(_feeds())[name]
    np.testing.assert_array_equal(OnnxExecutor(model)(_feeds())[name], expected)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_weights_stay_in_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, nbytes = _stored(tmp_path), 4 * _WIDTH**2 * _LAYERS
    monkeypatch.setattr(onnx_executor, "MAPPED_BYTES", nbytes)
    before = private_bytes()
    executor = OnnxExecutor(model)
    mapped = executor(_feeds())
    assert private_bytes() - before < nbytes / 4
    expected = OnnxExecutor(_chain())(_feeds())
    name = f"hidden_{_LAYERS - 1}"
    np.testing.assert_allclose(mapped[name], expected[name], rtol=1e-4, atol=1e-5)
