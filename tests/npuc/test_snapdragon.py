"""A small model through the HTP path with a stand-in for the vendor's tool: what npuc itself does, and its faults."""

import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from npuc.artifact.artifact import Artifact
from npuc.cli import run
from tests.fake_tool import install_fake_tool


def _linear(random, rows, columns):
    return random.normal(0, 0.2, (rows, columns)).astype(np.float32)


def _write(path, activation):
    """A product with weights, an activation, layer normalisation, another product."""
    random = np.random.default_rng(0)
    tensors = {
        "up": _linear(random, 48, 64),
        "down": _linear(random, 64, 10),
        "gain": np.ones(64, np.float32),
        "offset": np.zeros(64, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "up"], ["h"], name="first"),
        helper.make_node(activation, ["h"], ["a"], name="activation"),
        helper.make_node("LayerNormalization", ["a", "gain", "offset"], ["n"], name="norm"),
        helper.make_node("MatMul", ["n", "down"], ["y"], name="second"),
    ]
    rows = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 48]), ("y", [1, 10]))
    ]
    values = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    graph = helper.make_graph(nodes, "g", rows[:1], rows[1:], values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("model") / "classifier.onnx", "Relu")


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """Finished steps, shared so that the model is captured once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(monkeypatch, steps, tmp_path):
    """A cache without a tool that shares the finished steps."""
    (steps / "steps").mkdir(exist_ok=True)
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "steps").symlink_to(steps / "steps")
    monkeypatch.setenv("NPUC_CACHE", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


@pytest.fixture(scope="module")
def artifact(model, steps, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "artifact"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPUC_CACHE", str(steps))
        install_fake_tool(patch, steps)
        assert run(["compile", str(model), "--device", "galaxy-s25", "-o", str(out), "--quiet"]) == 0
    shutil.rmtree(steps / "tools")
    return out


@pytest.fixture
def copy(artifact, tmp_path):
    shutil.copytree(artifact, tmp_path / "copy")
    return tmp_path / "copy"


def test_the_artifact_records_what_runs_on_htp(artifact):
    (component,) = Artifact(artifact).manifest.components
    (segment,) = component.segments
    assert (segment.processor, segment.triple, segment.weights) == ("htp", "hexagon-v79", None)
    assert str(segment.agreement.bound) == "SQNR >= 52 dB"  # two products, and no list of layers
    assert segment.agreement.passed
    assert component.npu.scheme == "float16"
    assert component.npu.weight_bytes > component.npu.weight_bytes_before
    assert 15 < component.npu.sqnr < 50  # the FP8 rounding of activations is gone
    assert segment.binding["onnxruntime-qnn"] == "2.7.0"
    assert segment.binding["soc_model"] == "69"
    assert segment.policy["e5m2"] == "requantised"
    assert segment.policy["float16"] == "native"


def test_every_node_is_in_the_coverage(artifact):
    rows = json.loads((artifact / "coverage.json").read_text())["model"]
    assert {row["on"] for row in rows} == {"htp"}
    assert "MatMul" in {row["operator"] for row in rows}


def test_flash_counts_only_what_goes_onto_the_device(artifact):
    manifest = Artifact(artifact).manifest
    (flash,) = [budget for budget in manifest.budgets if budget.name == "flash"]
    assert flash.value == manifest.components[0].segments[0].code_bytes


def test_the_device_folder_has_sessions_and_commands(artifact):
    sessions = json.loads((artifact / "device" / "sessions.json").read_text())
    (session,) = sessions["components"]["model"]
    assert (artifact / session["model"]).is_file()
    assert sessions["runtime"] == {"onnxruntime-qnn": "2.7.0", "qnn_sdk": "2.51.0"}
    assert sessions["subnetworks"] == {"full": {"power": "burst", "components": {}}}
    assert sessions["power"]["low_power"] == {"htp_performance_mode": "low_power_saver"}
    readme = (artifact / "device" / "README.md").read_text()
    for text in ("adb push htp assets /data/local/tmp/npuc/", session["model"], "libQnnHtpV79Skel.so"):
        assert text in readme


def test_what_the_compiler_refuses_in_spite_of_the_rules_is_placed_anew(npuc, cache, monkeypatch, tmp_path):
    install_fake_tool(monkeypatch, cache, "refuses")
    model = _write(tmp_path / "sigmoid.onnx", "Sigmoid")
    result = npuc("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "the compiler of htp refuses Sigmoid activation: the nodes are placed anew" in result.err
    (component,) = Artifact(tmp_path / "out").manifest.components
    assert [segment.processor for segment in component.segments] == ["htp", "cpu", "htp"]
    assert sorted(path.name for path in (tmp_path / "out" / "htp").iterdir()) == ["model_0", "model_2"]
    rows = json.loads((tmp_path / "out" / "coverage.json").read_text())["model"]
    (refused,) = [row for row in rows if row["operator"] == "Sigmoid"]
    assert refused["on"] == "cpu" and refused["reason"].startswith(
        "not on HTP: its compiler refuses the node"
    )
    assert not list(tmp_path.glob("npuc-snapdragon-*"))


def test_verify_and_run_use_the_emulator(npuc, artifact, cache, monkeypatch, tmp_path):
    install_fake_tool(monkeypatch, cache)
    result = npuc("verify", artifact)
    assert result.code == 0, result.err
    assert "verified" in result.out


def test_a_refused_operator_cuts_the_component(npuc, cache, monkeypatch, tmp_path):
    install_fake_tool(monkeypatch, cache)
    model = _write(tmp_path / "three_parts.onnx", "Erf")
    result = npuc("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    opened = Artifact(tmp_path / "out")
    (component,) = opened.manifest.components
    assert [segment.processor for segment in component.segments] == ["htp", "cpu", "htp"]
    assert [segment.name for segment in component.segments] == ["model_0", "model_1", "model_2"]
    rows = json.loads((tmp_path / "out" / "coverage.json").read_text())["model"]
    (erf,) = [row for row in rows if row["operator"] == "Erf"]
    assert erf["on"] == "cpu" and "only inside Gelu" in erf["reason"] and "Gelu" in erf["remedy"]
    readme = (tmp_path / "out" / "device" / "README.md").read_text()
    assert "adb push cpu/model_1 /data/local/tmp/npuc/cpu/" in readme
    assert "npu/weights.bin" in readme
    (x,) = component.inputs
    np.save(tmp_path / "x.npy", np.ones(x.shape, np.float32))
    options = ("run", tmp_path / "out", "--input", f"{x.name}={tmp_path / 'x.npy'}")
    assert npuc(*options, "--save", tmp_path / "binary").code == 0
    assert npuc(*options, "--save", tmp_path / "reference", "--reference").code == 0
    (saved,) = (tmp_path / "binary").iterdir()
    binary, reference = np.load(saved), np.load(tmp_path / "reference" / saved.name)
    assert np.abs(binary - reference).max() <= 0.1 * np.abs(reference).max()
    assert npuc("verify", tmp_path / "out").code == 0


def test_a_node_that_runs_nowhere_ends_with_the_table(npuc, cache, monkeypatch, tmp_path):
    model = _write(tmp_path / "nowhere.onnx", "Softsign")
    result = npuc("coverage", model, "--device", "galaxy-s25")
    assert result.code == 3
    assert "Softsign" in result.out and "decompose it" in result.out
    install_fake_tool(monkeypatch, cache)
    result = npuc("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "work" / "out")
    assert result.code == 3
    assert "1 of 4 nodes cannot be lowered" in result.err
    assert not list((tmp_path / "work").iterdir())


def test_without_the_tool_auto_takes_the_cpu_and_says_so(npuc, model, cache, tmp_path):
    result = npuc("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "out")
    assert result.code == 0, result.err
    assert "npuc tools install snapdragon --accept-licence" in result.err
    manifest = Artifact(tmp_path / "out").manifest
    assert manifest.components[0].segments[0].processor == "cpu"
    assert "not installed" in manifest.notes[0]
    assert not (tmp_path / "out" / "npu").exists()


def test_without_the_tool_a_named_format_is_an_error(npuc, model, cache, tmp_path):
    command = ("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "out", "--npu", "float16")
    result = npuc(*command)
    assert result.code == 4
    assert "npuc tools install snapdragon --accept-licence" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("device", "npu", "text"),
    [("oneplus-nord-4", "float16", "does not compute in float16"), ("vivo-x200", "a16w8", "no back end")],
)
def test_a_format_the_npu_lacks_is_refused(npuc, model, cache, tmp_path, device, npu, text):
    command = ("compile", model, "--device", device, "--tier", "high", "-o", tmp_path / "out", "--npu", npu)
    result = npuc(*command)
    assert result.code == 3
    assert text in result.err


def test_an_integer_format_is_made_from_the_fine_tuned_weights(model, cache, monkeypatch, tmp_path):
    """They differ from those of the source, and the compile that takes them from the cache gives the same bytes."""
    install_fake_tool(monkeypatch, cache)
    qat = "steps=2,batch_size=1,requests=1,learning_rate=0.05"
    weights = []
    for index, options in enumerate(((), ("--qat", qat), ("--qat", qat))):
        out = tmp_path / f"out{index}"
        command = (
            "compile",
            str(model),
            "--device",
            "galaxy-s25",
            "--npu",
            "a16w8",
            "-o",
            str(out),
            "--quiet",
            "--accept-precision-loss",  # two large steps on random inputs teach nothing
        )
        assert run([*command, *options]) == 0
        (component,) = Artifact(out).manifest.components
        assert {segment.processor for segment in component.segments} == {"htp"}
        assert component.npu.scheme == "a16w8"
        assert not (out / "float").exists()
        weights.append((out / "npu" / "weights.bin").read_bytes())
    assert weights[0] != weights[1] == weights[2]


def test_coverage_needs_no_tool(npuc, model, cache):
    result = npuc("coverage", model, "--device", "galaxy-s25")
    assert result.code == 0, result.err
    assert "the HTP compiler takes it" in result.out
    rows = json.loads(npuc("coverage", model, "--device", "galaxy-s25", "--json").out)["model"]
    assert {row["on"] for row in rows} == {"htp"}
    on_cpu = json.loads(npuc("coverage", model, "--device", "galaxy-s25", "--npu", "cpu", "--json").out)
    assert {row["on"] for row in on_cpu["model"]} == {"cpu"}


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("1002", 3, "Code: 1002"),
        ("killed", 3, "crashed (SIGKILL)"),
        ("wrong", 1, "the first operator that diverges: Relu"),
        ("dies", 3, "crashed (SIGABRT)"),
    ],
)
def test_a_fault_of_the_tool_is_one_message_and_leaves_nothing(
    npuc, model, cache, monkeypatch, tmp_path, fault, code, text
):
    install_fake_tool(monkeypatch, cache, fault)
    shutil.copytree(cache / "steps", tmp_path / "own", symlinks=False)
    (cache / "steps").unlink()
    (tmp_path / "own").rename(cache / "steps")  # what a faulty tool makes must not reach the other tests
    for step in (cache / "steps").iterdir():
        if list(step.glob("files/*/prepared*")):
            shutil.rmtree(step)
    result = npuc("compile", model, "--device", "galaxy-s25", "-o", tmp_path / "work" / "out")
    assert result.code == code, result.err
    assert text in result.err
    assert result.err.count("error:") == 1
    assert "Traceback" not in result.err
    assert not list((tmp_path / "work").iterdir())
    reproducers = list(tmp_path.glob("npuc-snapdragon-*"))
    assert bool(reproducers) == (code == 3)
    for folder in reproducers:
        assert {"job.py", "request.json", "output.txt"} <= {path.name for path in folder.iterdir()}


def test_a_truncated_binary_is_named(npuc, copy, cache, monkeypatch):
    install_fake_tool(monkeypatch, cache)
    binary = copy / "htp" / "model" / "prepared_qnn.bin"
    binary.write_bytes(binary.read_bytes()[:3])
    result = npuc("verify", copy)
    assert result.code == 1
    assert "htp/model/prepared_qnn.bin" in result.err


def test_a_foreign_binary_is_refused_before_it_is_loaded(npuc, copy, cache, monkeypatch):
    install_fake_tool(monkeypatch, cache)
    binary = copy / "htp" / "model" / "prepared_qnn.bin"
    binary.write_bytes(b"foreign")
    result = npuc("run", copy, "--input", "x=x.npy")
    assert result.code in (1, 2)
    artifact = Artifact(copy)
    segment = artifact.manifest.components[0].segments[0]
    with artifact.emulated(segment) as candidate, pytest.raises(Exception, match="changed after"):
        candidate({})


def test_a_tool_of_another_version_is_named(npuc, copy, cache, monkeypatch):
    install_fake_tool(monkeypatch, cache)
    text = (copy / "manifest.json").read_text()
    (copy / "manifest.json").write_text(
        text.replace('"onnxruntime-qnn": "2.7.0"', '"onnxruntime-qnn": "2.6.0"')
    )
    result = npuc("verify", copy)
    assert result.code == 4
    assert "onnxruntime-qnn 2.6.0; this npuc executes with 2.7.0" in result.err


def test_an_outdated_installation_is_named(npuc, artifact, cache, monkeypatch):
    install_fake_tool(monkeypatch, cache)
    record = cache / "tools" / "snapdragon" / "installed.json"
    record.write_text(json.dumps({"version": "2.6.0", "lock_sha256": "0"}))
    result = npuc("verify", artifact)
    assert result.code == 4
    assert "installed in another version" in result.err
    assert "npuc tools install snapdragon --accept-licence" in result.err
