import importlib.metadata
import json
import platform
import tomllib

import numpy as np
import onnx
import onnx_ir as ir
import pytest

import npuc
from program.onnx_executor import OnnxExecutor
from targets.contract import registry
from targets.devices.catalogue import load_device
from targets.errors import DeviceFileError, ToolError
from tests.docs.conftest import ROOT

EXAMPLE = ROOT / "examples" / "add_a_target"
BOARD = EXAMPLE / "x86-board.toml"
GRAPH = """
    <ir_version: 10, opset_import: ["" : 23]>
    block (float[4,32] x, float[32,32] w) => (float[4,32] y) { a = MatMul(x, w)  b = Relu(a)  y = Add(b, x) }
"""


@pytest.fixture
def installed(monkeypatch):
    """Makes the example's entry point visible, as `pip install examples/add_a_target` would."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text("utf-8"))["project"]
    group = project["entry-points"][registry.ENTRY_POINT_GROUP]
    points = [
        importlib.metadata.EntryPoint(name, value, registry.ENTRY_POINT_GROUP)
        for name, value in group.items()
    ]
    found = importlib.metadata.EntryPoints(points)
    monkeypatch.setattr(registry, "entry_points", lambda **wanted: found.select(**wanted))
    monkeypatch.syspath_prepend(str(EXAMPLE))


@pytest.fixture
def model(tmp_path):
    """A small block as a user would have it: an .onnx file with a weight."""
    graph = ir.from_onnx_text(GRAPH)
    weight = graph.graph.inputs.pop()
    weight.const_value = ir.tensor(
        np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32), name="w"
    )
    graph.graph.register_initializer(weight)
    onnx.save(ir.to_proto(graph), tmp_path / "block.onnx")
    return tmp_path / "block.onnx"


def test_the_registry_finds_it(installed):
    assert "x86" in registry.target_names()
    assert registry.find_target("x86").name == "x86"


def test_without_the_package_the_device_is_refused():
    with pytest.raises(DeviceFileError, match="no such target"):
        load_device(BOARD)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the binary runs natively")
def test_a_model_is_compiled_executed_and_compared(installed, model, tmp_path, monkeypatch):
    monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))
    artifact = npuc.compile(model, device=str(BOARD), out=tmp_path / "out")
    (segment,) = artifact.manifest.components[0].segments
    assert (segment.triple, segment.emulator) == ("x86_64-linux-musl", ())
    assert segment.agreement.executed and segment.agreement.passed
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["device"]["target"] == "x86"
    x = np.random.default_rng(1).standard_normal((4, 32)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    received = artifact.run(tensors={"x": tmp_path / "x.npy"}).tensors["y"]
    expected = OnnxExecutor(model)({"x": x})["y"]
    assert np.linalg.norm(received - expected) < 0.1 * np.linalg.norm(expected)  # FP8 by modality


def test_another_machine_is_told_so(installed, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    target = registry.find_target("x86")
    with pytest.raises(ToolError, match="aarch64"):
        target.execute(type("Component", (), {"name": "block"}), None, None, None)
