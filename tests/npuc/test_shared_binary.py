"""Prefill and decode of a small Qwen3-VL in one binary, with a stand-in for the vendor's tool."""

import json
import shutil

import pytest

from npuc.artifact.artifact import Artifact
from npuc.cli import run
from tests.fake_tool import install_fake_tool
from tests.tiny_qwen3_vl import build

RECIPE = """
version = 1
name = "small"
[capture]
image_height = 64
image_width = 64
prefill_length = 24
cache_length = 64
[calibration]
samples = 2
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def artifact(cache, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qwen3_vl")
    build(folder / "model", tied=True)
    (folder / "small.toml").write_text(RECIPE)
    command = ["compile", folder / "model", "--device", "galaxy-s25", "--recipe", folder / "small.toml"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NPUC_CACHE", str(cache))
        install_fake_tool(patch, cache)
        assert run([str(word) for word in (*command, "-o", folder / "out", "--quiet")]) == 0
    return folder / "out"


@pytest.fixture
def stand_in(cache, monkeypatch, tmp_path):
    """Installs the stand-in, with a fault if one is named."""
    monkeypatch.setenv("NPUC_CACHE", str(cache))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lambda fault="": install_fake_tool(monkeypatch, cache, fault)


def _segments(artifact):
    return {
        segment.name: segment for component in artifact.manifest.components for segment in component.segments
    }


def test_prefill_and_decode_name_one_binary_which_counts_once(artifact):
    opened = Artifact(artifact)
    segments = _segments(opened)
    prefill, decode = segments["prefill"], segments["decode"]
    assert prefill.files == ("htp/prefill/prefill.onnx", "htp/prefill/prefill_qnn.bin")
    assert decode.files == ("htp/prefill/decode.onnx", "htp/prefill/prefill_qnn.bin")
    assert {path.name for path in (artifact / "htp").iterdir()} == {"prefill", "vision_encoder", "embedding"}
    assert prefill.code_bytes == (artifact / prefill.files[1]).stat().st_size and decode.code_bytes == 0
    assert decode.binding["graphs"] == "prefill,decode"
    assert prefill.agreement.executed and decode.agreement.executed
    assert "shared by prefill and decode" in decode.note
    assert segments["vision_encoder"].files[1] == "htp/vision_encoder/prepared_qnn.bin"
    (flash,) = [budget for budget in opened.manifest.budgets if budget.name == "flash"]
    assert flash.value == sum(path.stat().st_size for path in (artifact / "htp").rglob("*_qnn.bin"))


def test_the_sessions_share_the_binarys_context(artifact):
    sessions = json.loads((artifact / "device" / "sessions.json").read_text())["components"]
    for name in ("prefill", "decode"):
        (session,) = sessions[name]
        assert session["session_config"] == {"ep.share_ep_contexts": "1"}
        assert session["model"] == f"htp/prefill/{name}.onnx"
    assert "session_config" not in sessions["embedding"][0]


def test_verify_and_run_compile_the_binary_again(npuc, artifact, stand_in):
    stand_in()
    result = npuc("verify", artifact)
    assert result.code == 0, result.err
    assert "verified" in result.out
    question = ("run", artifact, "--prompt", "what is it?", "--max-new-tokens", 3)
    first, second = npuc(*question), npuc(*question)
    assert first.code == 0 and first.out.strip()
    assert first.out == second.out


def test_a_compiler_that_makes_another_binary_fails_verification(npuc, artifact, stand_in):
    stand_in("other")
    result = npuc("verify", artifact)
    assert result.code == 1
    assert "the compiler makes another binary of the artifact's graphs" in result.err
    assert "Traceback" not in result.err


def test_a_truncated_shared_binary_is_not_executed(artifact, stand_in, tmp_path):
    stand_in()
    copy = shutil.copytree(artifact, tmp_path / "copy")
    (copy / "htp" / "prefill" / "prefill_qnn.bin").write_bytes(b"bin")
    opened = Artifact(copy)
    with (
        opened.emulated(_segments(opened)["decode"]) as decode,
        pytest.raises(Exception, match="changed after"),
    ):
        decode({})
