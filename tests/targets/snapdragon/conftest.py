"""The vendor's tool, where the user installed it; small graphs for it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def _save(path, nodes, initializers, dtype, external=False):
    rows = [helper.make_tensor_value_info(name, dtype, [4, 64]) for name in ("x", "y")]
    tensors = [numpy_helper.from_array(array, name) for name, array in initializers.items()]
    graph = helper.make_graph(nodes, "block", rows[:1], rows[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, path, save_as_external_data=external, location="weights.bin", size_threshold=1024)
    return path


@pytest.fixture
def float16_block(tmp_path):
    """Softmax(x · up) · down in float16; the weights lie beside the graph."""
    random = np.random.default_rng(0)
    weights = {
        "up": random.normal(0, 0.2, (64, 128)).astype(np.float16),
        "down": random.normal(0, 1, (128, 64)).astype(np.float16),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "up"], ["h"]),
        helper.make_node("Softmax", ["h"], ["p"]),
        helper.make_node("MatMul", ["p", "down"], ["y"]),
    ]
    return _save(tmp_path / "float16.onnx", nodes, weights, TensorProto.FLOAT16, external=True)


@pytest.fixture
def int8_block(tmp_path):
    """x · w with unsigned 8-bit activations and int8 weights."""
    random = np.random.default_rng(0)
    tensors = {
        "w": random.integers(-127, 128, (64, 64)).astype(np.int8),
        "ws": np.array(0.01, np.float32),
        "wz": np.array(0, np.int8),
        "xs": np.array(0.03, np.float32),
        "ys": np.array(0.15, np.float32),
        "z": np.array(128, np.uint8),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node("MatMul", ["xd", "wd"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "ys", "z"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "z"], ["y"]),
    ]
    return _save(tmp_path / "int8.onnx", nodes, tensors, TensorProto.FLOAT)


@pytest.fixture
def computed_bound_block(tmp_path):
    """Clip, which HTP takes, with a bound that is computed, which it does not."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["bound"], keepdims=0, name="largest"),
        helper.make_node("Clip", ["x", "", "bound"], ["y"], name="limit"),
    ]
    return _save(tmp_path / "clip.onnx", nodes, {}, TensorProto.FLOAT16)


@pytest.fixture
def unsupported_block(tmp_path):
    """Erf alone, which HTP refuses."""
    return _save(tmp_path / "erf.onnx", [helper.make_node("Erf", ["x"], ["y"])], {}, TensorProto.FLOAT16)


@pytest.fixture(autouse=True)
def _reproducers(temporary_folder):
    pass
