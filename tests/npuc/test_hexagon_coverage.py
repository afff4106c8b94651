"""`npuc coverage --hvx`: a quantised model placed whole on Hexagon's vector units, or refused with the reason."""

import json
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from tests.targets.snapdragon.hexagon.graphs import network


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


def _with_groups(proto):
    (conv,) = [node for node in proto.graph.node if node.op_type == "Conv"]
    conv.attribute.append(onnx.helper.make_attribute("group", 2))
    (weight,) = [tensor for tensor in proto.graph.initializer if tensor.name == "wq"]
    values = onnx.numpy_helper.to_array(weight)[:, :5]
    weight.CopyFrom(onnx.numpy_helper.from_array(values.copy(), "wq"))


def test_a_quantised_model_is_taken_whole(npuc, save):
    model = save()
    result = npuc("coverage", model, "--device", "galaxy-s25", "--hvx", "--json")
    assert result.code == 0, result.err
    (rows,) = json.loads(result.out).values()
    assert [row["operator"] for row in rows] == [node.op_type for node in onnx.load(model).graph.node]
    assert {row["on"] for row in rows} == {"hvx"}


def test_a_refused_node_ends_with_exit_3_and_its_reason(npuc, save):
    result = npuc("coverage", save(_replace("Gelu", "Softsign")), "--device", "galaxy-s25", "--hvx")
    assert result.code == 3
    assert "there is no integer kernel for Softsign" in result.out
    assert "docs/targets/hexagon.md" in result.out


def test_what_no_node_shows_alone_is_found(npuc, save):
    result = npuc("coverage", save(_with_groups), "--device", "galaxy-s25", "--hvx")
    assert result.code == 3
    assert "group" in result.err


@pytest.mark.parametrize("device", ["iphone-17-pro", "sa8295p-board"])
def test_another_vendors_or_an_older_npu_is_refused(npuc, save, device):
    result = npuc("coverage", save(), "--device", device, "--hvx")
    assert result.code == 3
    assert "no Hexagon vector units" in result.err


def test_a_number_format_contradicts_it(npuc, save):
    result = npuc("coverage", save(), "--device", "galaxy-s25", "--hvx", "--npu", "a8w8")
    assert result.code == 2
    assert "contradict" in result.err
