"""One artifact for several devices, with a stand-in for the vendor's tool."""

import json
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from npuc.artifact.artifact import Artifact
from tests.fake_tool import install_fake_tool


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A product with weights and an activation."""
    weights = np.random.default_rng(0).normal(0, 0.2, (48, 64)).astype(np.float32)
    tensors = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, w]) for n, w in (("x", 48), ("y", 64))]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], [numpy_helper.from_array(weights, "w")])
    path = tmp_path_factory.mktemp("model") / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.fixture
def compile_for(npuc, model, monkeypatch, tmp_path):
    """Compiles for a Galaxy S25 and further devices, with a fault of the tool if one is named."""

    def compile_for(*others, fault="", options=()):
        monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        install_fake_tool(monkeypatch, tmp_path / "cache", fault)
        further = [word for other in others for word in ("--also-device", other)]
        return npuc(
            "compile", model, "--device", "galaxy-s25", *further, *options, "-o", tmp_path / "out" / "a"
        )

    return compile_for


def test_one_binary_covers_the_chips_and_each_is_executed(compile_for, npuc, tmp_path):
    result = compile_for("xiaomi-17")
    assert result.code == 0, result.err
    out = tmp_path / "out" / "a"
    manifest = Artifact(out).manifest
    (segment,) = manifest.components[0].segments
    assert manifest.device.also == ("xiaomi-17",)
    assert segment.binding["chips"] == "SM8750,SM8850" and segment.binding["soc_model"] == "69,87"
    assert set(segment.chips) == {"SM8750", "SM8850"}
    assert all(agreement.executed and agreement.passed for agreement in segment.chips.values())
    assert "cannot execute it here" in segment.note and "each chip alone" in segment.note
    assert zipfile.ZipFile(out / segment.files[1]).namelist() == ["htp.cache.sm8750.0", "htp.cache.sm8850.0"]
    sessions = json.loads((out / "device" / "sessions.json").read_text())
    assert sessions["chips"] == ["SM8750", "SM8850"] and sessions["soc_models"] == [69, 87]
    assert "SM8750 and SM8850" in (out / "device" / "README.md").read_text()
    assert npuc("verify", out).code == 0
    assert "also     xiaomi-17" in npuc("inspect", out).out


def test_two_devices_of_one_chip_are_one_chip(compile_for, tmp_path):
    assert compile_for("xiaomi-15").code == 0
    (segment,) = Artifact(tmp_path / "out" / "a").manifest.components[0].segments
    assert segment.binding["soc_model"] == "69" and segment.chips == {}


def test_a_chip_without_float16_makes_the_model_integer(compile_for, tmp_path):
    result = compile_for("oneplus-nord-4", options=("--npu", "float16"))
    assert result.code == 3
    assert "does not compute in float16" in result.err


def test_a_binary_without_code_for_a_chip_is_not_shipped(compile_for, tmp_path):
    result = compile_for("xiaomi-17", fault="one chip")
    assert result.code == 1
    assert "does not have code for the chips" in result.err
    assert not list((tmp_path / "out").iterdir())


def test_a_wrong_result_names_the_chip(compile_for, tmp_path):
    result = compile_for("xiaomi-17", fault="wrong")
    assert result.code == 1
    assert "on SM8750; the first operator that diverges: Relu" in result.err


@pytest.mark.parametrize(
    ("other", "code", "text"),
    [("vivo-x200", 2, "devices of one target"), ("no-such-phone", 2, "no-such-phone")],
)
def test_a_device_that_cannot_share_is_refused(compile_for, tmp_path, other, code, text):
    result = compile_for(other)
    assert result.code == code
    assert text in result.err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_cpu_code_has_to_run_on_every_device(compile_for):
    result = compile_for("xiaomi-17", options=("--npu", "cpu"))
    assert result.code == 2
    assert "it lacks +v8.6a" in result.err
