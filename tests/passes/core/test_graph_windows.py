"""Windows see every value of a graph, each computed once, and hold few of them at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx_ir as ir
import pytest

from passes.core.graph_windows import WINDOW_NODES, cut_windows, run_windows
from passes.core.infer_shapes import InferShapes
from program.onnx_executor import OnnxExecutor

_WIDTH = 8
_VALUE_BYTES = 4 * _WIDTH


def _residual_chain(layers: int) -> ir.Model:
    """x → MatMul → Tanh → Add of what came in, layer by layer; the last layer adds the first input again."""
    rng = np.random.default_rng(0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, _WIDTH]))
    nodes: list[ir.Node] = []
    weights, state = [], x
    for index in range(layers):
        matrix = rng.standard_normal((_WIDTH, _WIDTH)).astype(np.float32)
        name = f"weight_{index}"
        weights.append(ir.Value(name=name, const_value=ir.tensor(matrix, name=name)))
        product = _add(nodes, "MatMul", [state, weights[-1]], f"product_{index}")
        activated = _add(nodes, "Tanh", [product], f"activated_{index}")
        state = _add(nodes, "Add", [activated, state], f"state_{index}")
    state = _add(nodes, "Add", [state, x], "y")
    graph = ir.Graph([x], [state], nodes=nodes, initializers=weights, opset_imports={"": 23}, name="chain")
    return ir.Model(graph, ir_version=10)


def _add(nodes: list[ir.Node], op_type: str, inputs: list[ir.Value], name: str) -> ir.Value:
    nodes.append(ir.Node("", op_type, inputs, name=name))
    output = nodes[-1].outputs[0]
    output.name, output.type = name, ir.TensorType(ir.DataType.FLOAT)
    output.shape = ir.Shape([1, _WIDTH])
    return output


def _samples(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, _WIDTH)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("values", [1, 2, 5, 1000])
def test_windows_compute_what_the_graph_computes(values: int) -> None:
    model, samples = _residual_chain(4), _samples(3)
    names = [value.name or "" for node in model.graph for value in node.outputs]
    whole = OnnxExecutor(model, names)
    expected = [whole(sample) for sample in samples]
    seen: Counter[str] = Counter()
    for runs in run_windows(model, samples, values * _VALUE_BYTES):
        for results, wanted in zip(runs, expected, strict=True):
            seen.update(results.keys())
            for name, array in results.items():
                np.testing.assert_array_equal(array, wanted[name])
    assert seen == dict.fromkeys(names, len(samples))


def test_a_window_has_the_values_that_fit_and_no_others() -> None:
    model = _residual_chain(4)
    windows = list(cut_windows(model, 5 * _VALUE_BYTES))
    assert [len(window.model.graph) for window in windows] == [5, 5, 3]
    assert [value.name for value in windows[1].model.graph.inputs] == ["activated_1", "state_0"]
    assert [sorted(window.model.graph.initializers) for window in windows] == [
        ["weight_0", "weight_1"], ["weight_2", "weight_3"], [],
    ]  # fmt: skip


def test_what_no_later_window_reads_is_dropped() -> None:
    first, second, last = cut_windows(_residual_chain(4), 5 * _VALUE_BYTES)
    assert {"product_0", "activated_0", "product_1"} <= first.last_uses
    assert not {"x", "state_0", "activated_1"} & first.last_uses
    assert "state_0" in second.last_uses
    assert "x" in last.last_uses


def test_a_large_value_is_a_window_of_its_own() -> None:
    assert [len(window.model.graph) for window in cut_windows(_residual_chain(1), 1)] == [1, 1, 1, 1]


def test_a_window_has_a_limited_number_of_nodes() -> None:
    windows = list(cut_windows(_residual_chain(100), 1 << 30))
    assert [len(window.model.graph) for window in windows] == [WINDOW_NODES, 301 - WINDOW_NODES]


def test_fp8_codes_stay_in_the_window_that_makes_them(model_from):
    text = """g (float[2,3] x) => (float[2,3] y) <float s = {0.5}> {
      a = Neg(x)  q = QuantizeLinear<output_dtype=17>(a, s)  d = DequantizeLinear(q, s)  y = Neg(d)
    }"""
    model = model_from(text)
    InferShapes()(model)
    assert [len(window.model.graph) for window in cut_windows(model, 1)] == [1, 2, 1]
    feeds = {"x": np.float32([[1, 2, 3], [4, 5, 6]])}
    seen = {name for runs in run_windows(model, [feeds], 1) for results in runs for name in results}
    assert seen == {"a", "d", "y"}
