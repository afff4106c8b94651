"""`npuc coverage --npu hvx`: a quantised model on Hexagon's vector units, on the CPU, or refused with the reason."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.targets.snapdragon.hexagon.graphs import network
from tests.targets.support import make_component


@pytest.fixture
def save(tmp_path):
    def write(change=lambda proto: None):
        proto = ir.to_proto(network().model)
        change(proto)
        path = Path(tmp_path) / "network.onnx"
        onnx.save(proto, path)
        return path

    return write


def _replace(old, new):
    def change(proto):
        (node,) = [node for node in proto.graph.node if node.op_type == old]
        node.op_type = new

    return change


def _with_scales_of_inputs(proto):
    """The scales of the product's weight belong to its rows, which no accumulator can apply."""
    (decode,) = [node for node in proto.graph.node if node.output[0] == "m"]
    decode.attribute[0].i = 0
    (scales,) = [tensor for tensor in proto.graph.initializer if tensor.name == "ms"]
    scales.CopyFrom(onnx.numpy_helper.from_array(np.full(24, 0.003, np.float32), "ms"))


def test_a_quantised_model_is_taken_whole(npuc, save):
    model = save()
    result = npuc("coverage", model, "--device", "galaxy-s25", "--npu", "hvx", "--json")
    assert result.code == 0, result.err
    (rows,) = json.loads(result.out).values()
    assert [row["operator"] for row in rows] == [node.op_type for node in onnx.load(model).graph.node]
    assert {row["on"] for row in rows} == {"hvx"}


def test_a_node_that_runs_nowhere_ends_with_exit_3_and_its_reason(npuc, save):
    result = npuc("coverage", save(_replace("Gelu", "Softsign")), "--device", "galaxy-s25", "--npu", "hvx")
    assert result.code == 3
    assert "no integer kernel for Softsign" in " ".join(result.out.split())
    assert "docs/targets/hexagon.md" in result.out


def test_what_no_node_shows_alone_goes_to_the_cpu_with_its_reason(npuc, save):
    options = ("--device", "galaxy-s25", "--npu", "hvx", "--json")
    result = npuc("coverage", save(_with_scales_of_inputs), *options)
    assert result.code == 0, result.err
    (rows,) = json.loads(result.out).values()
    places = {row["operator"]: row for row in rows if "Linear" not in row["operator"]}
    assert {name for name, row in places.items() if row["on"] == "cpu"} == {"Add", "MatMul"}
    assert "scales" in places["MatMul"]["reason"]


@pytest.mark.parametrize(
    ("device", "text"), [("iphone-17-pro", "no back end"), ("sa8295p-board", "does not compute in hvx")]
)
def test_another_vendors_or_an_older_npu_is_refused(npuc, save, device, text):
    result = npuc("coverage", save(), "--device", device, "--npu", "hvx")
    assert result.code == 3
    assert text in result.err


def test_a_float_model_is_quantised_and_taken_whole(npuc, tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"w": (12, 6, 3), "b": (12,), "m": (12, 5), "mb": (5,)}
    constants = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    text = """(float[1,6,10] x) => (float[1,10,5] y) {
        c = Conv<pads=[1,1], kernel_shape=[3]>(x, w, b)  r = Relu(c)
        t = Transpose<perm=[0,2,1]>(r)
        p = MatMul(t, m)  a = Add(p, mb)
        y = Softmax<axis=-1>(a)
    }"""
    path = tmp_path / "float.onnx"
    onnx.save(ir.to_proto(make_component(text, constants).model), path)
    result = npuc(
        "coverage", path, "--device", "rayneo-x3-pro", "--recipe", _recipe(tmp_path), "--npu", "hvx", "--json"
    )
    assert result.code == 0, result.err
    (rows,) = json.loads(result.out).values()
    assert {row["on"] for row in rows} == {"hvx"}
    assert {"Conv", "Relu", "Gemm", "Softmax"} <= {row["operator"] for row in rows}


def _recipe(folder):
    """The AR glasses' own tier distils, which a graph alone does not allow."""
    path = folder / "whole.toml"
    path.write_text('version = 1\nextends = "high"\n')
    return path
