"""A quantised model through `npuc compile --npu hvx`: executed, run, verified, damaged, cut, without its emulator."""

import json
import shutil

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from npuc.artifact.artifact import Artifact
from npuc.caching.cache import file_sha256
from npuc.cli import run
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from tests.targets.snapdragon.hexagon.graphs import network

pytestmark = [
    pytest.mark.skipif(
        shutil.which(name) is None, reason=f"{name} is not installed: apt-get install qemu-user"
    )
    for name in ("qemu-hexagon", "qemu-aarch64")
]

DEVICE = ("--device", "galaxy-s25", "--npu", "hvx")


def _write(path, change=lambda proto: None):
    proto = ir.to_proto(network().model)
    change(proto)
    onnx.save(proto, path)
    return path


def _with_sin(proto):
    """HVX has no kernel for Sin, the CPU has one."""
    del proto.graph.value_info[:]
    (gelu,) = [node for node in proto.graph.node if node.op_type == "Gelu"]
    gelu.op_type = "Sin"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, cache):
    monkeypatch.setenv("NPUC_CACHE", str(cache))


def _compile(cache, folder, change):
    model = _write(folder / "network.onnx", change)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPUC_CACHE", str(cache))
        assert run(["compile", str(model), *DEVICE, "-o", str(folder / "out"), "--quiet"]) == 0
    return folder / "out"


@pytest.fixture(scope="module")
def artifact(cache, tmp_path_factory):
    return _compile(cache, tmp_path_factory.mktemp("whole"), lambda proto: None)


@pytest.fixture(scope="module")
def cut(cache, tmp_path_factory):
    """One node in the middle runs on the CPU."""
    return _compile(cache, tmp_path_factory.mktemp("cut"), _with_sin)


@pytest.fixture
def x(tmp_path):
    array = np.random.default_rng(1).normal(0, 1, (1, 10, 12)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    return array


def test_the_source_keeps_its_integers_and_the_binary_their_bits(artifact):
    (component,) = Artifact(artifact).manifest.components
    (segment,) = component.segments
    assert (segment.processor, segment.triple, segment.weights) == ("hvx", "hexagon-v73", None)
    assert str(segment.agreement.bound).startswith("equal to its integer reference, SQNR >= ")
    assert segment.agreement.passed and segment.agreement.executed
    assert (component.npu.scheme, component.npu.sqnr) == ("a8w8", None)
    assert {layer.format for layer in component.layers} == {"int8"}
    assert "compiled only" in segment.note
    prepared = [node.op_type for node in ir.load(artifact / "model" / "model.onnx").graph]
    assert prepared == [node.op_type for node in network().model.graph]


def test_the_device_folder_has_the_object_and_no_program(artifact):
    sessions = json.loads((artifact / "device" / "sessions.json").read_text())
    (entry,) = sessions["components"]["model"]
    assert "provider" not in sessions  # nothing runs on HTP
    assert entry["executed"] is False
    assert (artifact / "device" / "hvx" / "model" / entry["object"]).is_file()
    assert file_sha256(artifact / "device" / "hvx" / "model" / entry["object"]) == entry["sha256"]
    assert entry["inputs"] == [{"name": "x", "dtype": "FLOAT", "shape": [1, 10, 12]}]
    assert entry["codes"]["x"] == {"scale": np.float32(0.05), "zero_point": 117}
    assert not (artifact / "device" / "hvx" / "model" / "model").exists()
    assert "compiled only" in (artifact / "device" / "README.md").read_text()


def test_run_computes_what_the_graph_computes(npuc, artifact, x, tmp_path):
    saved = {}
    for name, options in (("binary", ()), ("reference", ("--reference",))):
        out = tmp_path / name
        command = ("run", artifact, "--input", f"x={tmp_path / 'x.npy'}", "--save", out, *options)
        assert npuc(*command).code == 0
        saved[name] = np.load(out / "y.npy")
    assert signal_to_noise(saved["reference"], saved["binary"]) > 30
    (expected,) = OnnxExecutor(network().model)({"x": x}).values()
    np.testing.assert_array_equal(saved["reference"], expected)


def test_verify_passes_and_says_how(npuc, artifact):
    result = npuc("verify", artifact)
    assert result.code == 0, result.err
    assert "equal to its integer reference" in result.out


def test_a_changed_byte_fails_the_checksum(npuc, artifact, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    binary = copy / "hvx" / "model" / "model"
    binary.write_bytes(binary.read_bytes()[:-1] + b"?")
    result = npuc("verify", copy)
    assert result.code == 1
    assert "hvx/model/model" in result.err


def test_a_wrong_weight_fails_the_gate_even_with_a_right_checksum(npuc, artifact, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(artifact, copy)
    binary = copy / "hvx" / "model" / "model"
    weights = network().model.graph.initializers["mq"].const_value.numpy()
    content = bytearray(binary.read_bytes())
    # one register of the packed product: 32 outputs by 4 inputs
    start = content.find(weights[0:4, 0].tobytes())
    assert start > 0
    content[start] ^= 0x40
    binary.write_bytes(bytes(content))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["hvx/model/model"]["sha256"] = file_sha256(binary)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = npuc("verify", copy)
    assert result.code == 1
    assert "NOT verified" in result.out
    assert "the binary computes something else" in result.out


def test_what_hvx_refuses_runs_on_the_cpu_of_the_same_artifact(npuc, cut, x, tmp_path):
    (component,) = Artifact(cut).manifest.components
    assert [segment.processor for segment in component.segments] == ["hvx", "cpu", "hvx"]
    first, second, third = component.segments
    assert [tensor.dtype for tensor in first.outputs] == ["UINT8"]  # codes, not floats, cross over
    assert first.outputs == second.inputs
    assert set(third.inputs) == {*first.outputs, *second.outputs}
    assert npuc("verify", cut).code == 0
    command = ("run", cut, "--input", f"x={tmp_path / 'x.npy'}", "--save")
    assert npuc(*command, tmp_path / "binary").code == 0
    assert npuc(*command, tmp_path / "reference", "--reference").code == 0
    binary, reference = (np.load(tmp_path / name / "y.npy") for name in ("binary", "reference"))
    assert signal_to_noise(reference, binary) > 30
    readme = (cut / "device" / "README.md").read_text()
    assert "cpu/model_1" in readme and "device/hvx/model_2" in readme


@pytest.mark.parametrize("command", ["compile", "run"])
def test_without_the_emulator_its_package_is_named(npuc, artifact, x, tmp_path, monkeypatch, command):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "qemu-hexagon" else which(name))
    arguments = {
        "compile": (_write(tmp_path / "network.onnx"), *DEVICE, "-o", tmp_path / "out"),
        "run": (artifact, "--input", f"x={tmp_path / 'x.npy'}"),
    }
    result = npuc(command, *arguments[command])
    assert result.code == 4
    assert "sudo apt-get install -y qemu-user" in result.err
    assert not (tmp_path / "out").exists()
