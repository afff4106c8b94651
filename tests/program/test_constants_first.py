"""When ONNX Runtime decodes weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from program import onnx_executor
from program.constants_first import put_constants_first
from program.onnx_executor import OnnxExecutor
from tests.memory import watched_memory

_LAYERS, _WIDTH = 16, 1024


def _graph(body: str) -> ir.Model:
    return ir.from_onnx_text(f"""<ir_version: 10, opset_import: ["": 23]>
        graph (float[2] x) => (float[2] y) <int8[2] w = {{1, 2}}, float s = {{0.5}}> {{ {body} }}""")


def _order(body: str) -> list[str]:
    model = _graph(body)
    put_constants_first(model)
    return [node.op_type for node in model.graph]


def test_what_depends_on_initializers_alone_comes_first() -> None:
    order = _order("""
        a = Relu(x)  d = DequantizeLinear(w, s)  c = Cast<to=1>(d)
        b = Mul(a, c)  n = Constant<value = float[2] {1, 2}>()  y = Add(b, n)
    """)
    assert order == ["DequantizeLinear", "Cast", "Relu", "Mul", "Constant", "Add"]


@pytest.mark.parametrize(
    ("body", "order"), [("y = Relu(x)", ["Relu"]), ("y = DequantizeLinear(w, s)", ["DequantizeLinear"])]
)
def test_graphs_of_one_kind_of_nodes_are_left_alone(body: str, order: list[str]) -> None:
    assert _order(body) == order


def _quantized_chain(folder: Path) -> Path:
    """Products with int8 matrices of 1 MiB, each decoded right before its product."""
    rng = np.random.default_rng(0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2, _WIDTH]))
    scale = ir.Value(name="scale", const_value=ir.tensor(np.float32(0.0005), name="scale"))
    weights, nodes, value = [scale], [], x
    for index in range(_LAYERS):
        codes = rng.integers(-127, 128, (_WIDTH, _WIDTH)).astype(np.int8)
        weights.append(ir.Value(name=f"w{index}", const_value=ir.tensor(codes, name=f"w{index}")))
        decode = ir.Node("", "DequantizeLinear", [weights[-1], scale], name=f"decode_{index}")
        product = ir.Node("", "MatMul", [value, decode.outputs[0]], name=f"product_{index}")
        nodes += [decode, product]
        value = product.outputs[0]
        decode.outputs[0].name, value.name = f"d{index}", f"h{index}"
    value.type, value.shape = x.type, x.shape
    graph = ir.Graph([x], [value], nodes=nodes, initializers=weights, opset_imports={"": 23}, name="chain")
    path = folder / "chain.onnx"
    ir.save(ir.Model(graph, ir_version=10), path, external_data="weights.bin", size_threshold_bytes=1024)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_weight_is_decoded_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_executor, "MAPPED_BYTES", 1)
    path, feeds = _quantized_chain(tmp_path), {"x": np.ones((2, _WIDTH), np.float32)}
    decoded = 4 * _WIDTH**2 * _LAYERS

    def run() -> tuple[np.ndarray, int]:
        executor = OnnxExecutor(path, threads=1)
        with watched_memory() as peak:
            (result,) = executor(feeds).values()
        return result, peak.growth

    result, growth = run()
    monkeypatch.setattr(onnx_executor, "put_constants_first", lambda model: None)
    as_written, growth_as_written = run()
    np.testing.assert_array_equal(result, as_written)
    assert growth < decoded / 4 < decoded / 2 < growth_as_written
