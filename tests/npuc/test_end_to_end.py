"""A small model through all four folders: compiled, executed in emulation, compared, damaged, repeated."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from npuc.artifact.artifact import Artifact
from npuc.caching.cache import file_sha256

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is not installed")

FACTORY = '''
"""A small convolutional classifier, as a user would hand it over."""
import torch
from torch import nn


def classifier():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 8 * 8, 64), nn.GELU(),
        nn.LayerNorm(64), nn.Linear(64, 10),
    )
    return module.eval(), (torch.randn(1, 3, 16, 16),)
'''


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "classifier.py"
    path.write_text(FACTORY)
    return f"{path}:classifier"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def _npuc(*arguments, cache, check=None):
    environment = os.environ | {"NPUC_CACHE": str(cache), "COLUMNS": "200"}
    command = [sys.executable, "-m", "npuc.cli", *map(str, arguments)]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    if check is not None:
        assert result.returncode == check, result.stdout + result.stderr
    return result


@pytest.fixture(scope="module")
def artifact(factory, cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "artifact"
    _npuc("compile", factory, "--device", "galaxy-s25", "-o", out, cache=cache, check=0)
    return out


@pytest.fixture
def copy(artifact, tmp_path):
    shutil.copytree(artifact, tmp_path / "copy")
    return tmp_path / "copy"


def test_manifest_lists_every_file_with_its_checksum(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    files = {str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()}
    assert files - {"manifest.json"} == set(manifest["files"])
    assert "report.html" in files
    for name, record in manifest["files"].items():
        assert file_sha256(artifact / name) == record["sha256"]


def test_verify_executes_every_binary(artifact, cache):
    result = _npuc("verify", artifact, cache=cache, check=0)
    assert "verified" in result.stdout
    assert "model" in result.stdout


def test_verify_against_the_source(artifact, factory, cache, tmp_path):
    same = _npuc("verify", artifact, "--against", factory, cache=cache, check=0).stdout
    assert "from the model to the binary" in same
    assert "torch in eager mode" in same
    other = tmp_path / "classifier.py"
    other.write_text(FACTORY.replace("manual_seed(0)", "manual_seed(1)"))
    result = _npuc("verify", artifact, "--against", f"{other}:classifier", cache=cache, check=1)
    assert "not those the artifact was made from" in result.stdout


def test_run_saves_the_same_tensors_as_the_reference(artifact, cache, tmp_path):
    name = Artifact(artifact).manifest.components[0].inputs[0].name
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32))
    options = ("run", artifact, "--input", f"{name}={tmp_path / 'x.npy'}")
    result = _npuc(*options, "--save", tmp_path / "binary", cache=cache, check=0)
    assert "mean" in result.stdout
    _npuc(*options, "--save", tmp_path / "reference", "--reference", cache=cache, check=0)
    (saved,) = (tmp_path / "binary").iterdir()
    binary, reference = np.load(saved), np.load(tmp_path / "reference" / saved.name)
    assert np.abs(binary - reference).max() <= 0.05 * np.abs(reference).max()


def test_inspect_shows_precision_and_budgets(artifact, cache):
    out = _npuc("inspect", artifact, "--layers", cache=cache, check=0).stdout
    for text in ("components", "precision", "agreement", "budgets", "estimate"):
        assert text in out


@pytest.mark.parametrize("pattern", ["model/weights.bin", "model/*.onnx", "cpu/**/*", "report.html"])
def test_one_changed_byte_is_found_and_named(copy, cache, pattern):
    victim = next(path for path in sorted(copy.glob(pattern)) if path.is_file())
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    result = _npuc("verify", copy, cache=cache, check=1)
    assert str(victim.relative_to(copy)) in result.stderr


def test_missing_and_added_files_are_named(copy, cache):
    (copy / "extra.bin").write_text("x")
    assert "extra.bin" in _npuc("verify", copy, cache=cache, check=1).stderr
    (copy / "extra.bin").unlink()
    (copy / "model" / "weights.bin").unlink()
    assert "model/weights.bin" in _npuc("verify", copy, cache=cache, check=1).stderr


@pytest.mark.parametrize("command", ["verify", "run"])
@pytest.mark.parametrize("what", ["cpu", "model", "model/weights.bin"])
def test_what_is_opened_lies_in_the_artifact(copy, cache, tmp_path, command, what):
    (copy / what).rename(tmp_path / "elsewhere")
    (copy / what).symlink_to(tmp_path / "elsewhere")
    name = json.loads((copy / "manifest.json").read_text())["components"][0]["inputs"][0]["name"]
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 16, 16), np.float32))
    options = ["--input", f"{name}={tmp_path / 'x.npy'}"] if command == "run" else []
    result = _npuc(command, copy, *options, cache=cache, check=1)
    assert "not a file of the artifact" in result.stderr or "missing" in result.stderr


@pytest.mark.parametrize("command", ["verify", "run"])
def test_the_manifest_does_not_choose_what_is_started(copy, cache, tmp_path, command):
    manifest = json.loads((copy / "manifest.json").read_text())
    (name,) = (entry["name"] for entry in manifest["components"][0]["inputs"])
    manifest["components"][0]["segments"][0]["emulator"] = ["touch", str(tmp_path / "started")]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 16, 16), np.float32))
    options = ["--input", f"{name}={tmp_path / 'x.npy'}"] if command == "run" else []
    result = _npuc(command, copy, *options, cache=cache, check=1)
    assert "no emulator of npuc's" in result.stderr
    assert not (tmp_path / "started").exists()


def test_wrong_weights_with_right_checksums_fail_the_comparison(copy, cache):
    """Someone who also mends the manifest still cannot make a binary agree with a reference it does not compute."""
    manifest = json.loads((copy / "manifest.json").read_text())
    executable = manifest["components"][0]["segments"][0]["executable"]
    other = sorted((copy / "model").glob("*.onnx"))[0]
    text = other.read_bytes().replace(b"Relu", b"Tanh")
    assert text != other.read_bytes()
    other.write_bytes(text)
    manifest["files"][str(other.relative_to(copy))] = {"bytes": len(text), "sha256": file_sha256(other)}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    result = _npuc("verify", copy, cache=cache, check=1)
    assert "FAILED" in result.stdout
    assert executable


def test_same_input_same_bytes(factory, artifact, tmp_path):
    _npuc(
        "compile",
        factory,
        "--device",
        "galaxy-s25",
        "-o",
        tmp_path / "again",
        cache=tmp_path / "fresh",
        check=0,
    )
    for path in sorted(artifact.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "again" / path.relative_to(artifact)).read_bytes(), path


def test_dump_ir_numbers_the_passes_and_times_them(factory, cache, tmp_path):
    options = ("--dump-ir", tmp_path / "ir", "--quiet")
    _npuc(
        "compile", factory, "--device", "galaxy-s25", "-o", tmp_path / "out", *options, cache=cache, check=0
    )
    files = sorted(path.name for path in (tmp_path / "ir").glob("*.onnx.txt"))
    assert files[0].startswith("000.model.")
    rows = (tmp_path / "ir" / "timing.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["number", "component", "pass", "seconds", "nodes"]
    assert len(rows) == len(files) + 1
    assert "QuantizeLinear" in (tmp_path / "ir" / files[-1]).read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_compile_leaves_nothing_and_resumes(factory, tmp_path, number, code):
    out = tmp_path / "work" / "out"
    environment = os.environ | {"NPUC_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "npuc.cli", "compile", factory, "--device", "galaxy-s25", "-o", str(out)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(out.parent.glob(".out*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    assert process.wait(timeout=120) == code
    assert list(out.parent.iterdir()) == []
    _npuc("compile", factory, "--device", "galaxy-s25", "-o", out, cache=tmp_path / "cache", check=0)
    assert (out / "manifest.json").exists()


def test_interrupt_inside_generated_code_keeps_the_exit_code(tmp_path):
    """CPython ends the process by SIGINT when a KeyboardInterrupt has passed through exec of a string."""
    source = tmp_path / "model.py"
    source.write_text(
        "def build():\n    exec('import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(60)')\n"
    )
    command = ("compile", f"{source}:build", "--device", "galaxy-s25", "-o", tmp_path / "out")
    _npuc(*command, cache=tmp_path / "cache", check=130)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".out", "out"))] == []


def test_full_disk_leaves_nothing(factory, cache, tmp_path):
    """A file size limit stands in for a full disk: the write fails in the middle of the weights."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000));"
        "from npuc.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    out = tmp_path / "out"
    command = [sys.executable, "-c", script, "compile", factory, "--device", "galaxy-s25", "-o", str(out)]
    environment = os.environ | {"NPUC_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 4, result.stderr
    assert "cannot write" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_apple_object_says_that_it_was_not_executed_itself(factory, cache, tmp_path):
    _npuc("compile", factory, "--device", "iphone-17-pro", "-o", tmp_path / "out", cache=cache, check=0)
    segment = Artifact(tmp_path / "out").manifest.components[0].segments[0]
    shipped = [name for name in segment.files if "/twin/" not in name]
    objects = [tmp_path / "out" / name for name in shipped if name.endswith(".o")]
    assert objects
    assert all(path.read_bytes()[:4] == b"\xcf\xfa\xed\xfe" for path in objects)  # 64-bit Mach-O
    assert any(name.endswith(".h") for name in shipped)
    assert "not executed" in segment.note
    assert segment.agreement.executed
