"""One artifact on HTP, the vector units and the CPU, with a stand-in for the vendor's tool."""

import json
import shutil

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from npuc.artifact.artifact import Artifact
from npuc.cli import run
from program.agreement import signal_to_noise
from tests.fake_tool import install_fake_tool
from tests.targets.support import make_component

pytestmark = [
    pytest.mark.skipif(
        shutil.which(name) is None, reason=f"{name} is not installed: apt-get install qemu-user"
    )
    for name in ("qemu-hexagon", "qemu-aarch64")
]

ROWS, WIDTH = 256, 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A product, a layer norm with an int8 gain, as ONNX Runtime's quantiser writes it, an exponential, a product."""
    rng = np.random.default_rng(0)
    constants = {
        "s": np.float32(0.03),
        "z": np.uint8(128),
        "ws": np.float32(0.01),
        "vs": np.float32(0.0005),
        "wq": rng.integers(-127, 128, (16, WIDTH)).astype(np.int8),
        "vq": rng.integers(-127, 128, (WIDTH, 8)).astype(np.int8),
        "gq": rng.integers(60, 128, WIDTH).astype(np.int8),
        "shift": rng.normal(0, 0.2, WIDTH).astype(np.float32),
    }
    text = f"""(float[1,{ROWS},16] x) => (float[1,{ROWS},8] y) {{
        xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)
        w = DequantizeLinear(wq, ws)  first = MatMul(xd, w)
        fq = QuantizeLinear(first, s, z)  fd = DequantizeLinear(fq, s, z)
        gain = DequantizeLinear(gq, ws)  norm = LayerNormalization<axis=-1>(fd, gain, shift)
        nq = QuantizeLinear(norm, s, z)  nd = DequantizeLinear(nq, s, z)
        v = DequantizeLinear(vq, vs)  second = MatMul(nd, v)
        pq = QuantizeLinear(second, s, z)  pd = DequantizeLinear(pq, s, z)
        error = Erf(pd)
        eq = QuantizeLinear(error, s, z)  y = DequantizeLinear(eq, s, z)
    }}"""
    path = tmp_path_factory.mktemp("model") / "mixed.onnx"
    onnx.save(ir.to_proto(make_component(text, constants).model), path)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def tool(monkeypatch, cache):
    monkeypatch.setenv("NPUC_CACHE", str(cache))
    install_fake_tool(monkeypatch, cache)


@pytest.fixture(scope="module")
def artifact(model, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "artifact"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPUC_CACHE", str(cache))
        install_fake_tool(patch, cache)
        assert run(["compile", str(model), "--device", "galaxy-s25", "-o", str(out), "--quiet"]) == 0
    return out


def test_each_segment_is_held_to_the_bound_of_its_processor(artifact):
    (component,) = Artifact(artifact).manifest.components
    segments = {segment.processor: segment for segment in component.segments}
    assert [segment.processor for segment in component.segments] == ["htp", "hvx", "htp", "cpu"]
    assert component.npu.processor == "htp, hvx"
    assert str(segments["hvx"].agreement.bound).startswith("equal to its integer reference, SQNR >= ")
    assert str(segments["htp"].agreement.bound) == "SQNR >= 30 dB"
    assert all(segment.agreement.passed and segment.agreement.executed for segment in component.segments)


def test_codes_go_from_processor_to_processor(artifact):
    (component,) = Artifact(artifact).manifest.components
    first, norm, second, last = component.segments
    assert [tensor.dtype for tensor in (*first.outputs, *norm.outputs, *second.outputs)] == ["UINT8"] * 3
    assert (first.outputs, norm.outputs, second.outputs) == (norm.inputs, second.inputs, last.inputs)


def test_the_coverage_names_every_processor_that_does_not_take_a_node(npuc, artifact, model):
    rows = {row["node"]: row for row in json.loads((artifact / "coverage.json").read_text())["model"]}
    places = {name: row["on"] for name, row in rows.items()}
    assert [places[name] for name in ("first", "norm", "gain", "nq", "nd", "second", "error", "eq")] == [
        *("htp", "hvx", "hvx", "hvx", "htp", "htp", "cpu", "cpu")
    ]
    assert rows["norm"]["reason"].startswith("integer kernel; not on HTP: HTP takes no signed 8-bit gain")
    assert "not on HTP" in rows["error"]["reason"] and "not on HVX" in rows["error"]["reason"]
    answer = npuc("coverage", model, "--device", "galaxy-s25", "--json")
    assert json.loads(answer.out)["model"] == list(rows.values())


def test_run_and_verify_chain_all_processors(npuc, artifact, tmp_path):
    x = np.random.default_rng(1).normal(0, 1, (1, ROWS, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    command = ("run", artifact, "--input", f"x={tmp_path / 'x.npy'}", "--save")
    assert npuc(*command, tmp_path / "binary").code == 0
    assert npuc(*command, tmp_path / "reference", "--reference").code == 0
    binary, reference = (np.load(tmp_path / name / "y.npy") for name in ("binary", "reference"))
    assert signal_to_noise(reference, binary) > 25
    result = npuc("verify", artifact)
    assert result.code == 0, result.err
    assert "equal to its integer reference" in result.out


def test_the_device_folder_serves_all_processors(artifact):
    sessions = json.loads((artifact / "device" / "sessions.json").read_text())
    entries = sessions["components"]["model"]
    assert [entry["processor"] for entry in entries] == ["htp", "hvx", "htp", "cpu"]
    assert (artifact / entries[0]["model"]).is_file() and (artifact / entries[3]["program"]).is_file()
    assert all((artifact / name).is_file() for name in entries[1]["files"])
    assert set(entries[1]["codes"]) == {"fq", "nq"}
    readme = (artifact / "device" / "README.md").read_text()
    for text in ("libQnnHtpV79Skel.so", "device/hvx/model_1", "adb push cpu/model_3 "):
        assert text in readme
