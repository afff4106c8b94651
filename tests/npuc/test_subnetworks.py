"""The mid tier from end to end, on a small model of the bundled model's family with random weights."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import onnx_ir as ir
import pytest
from safetensors.torch import save_file

import npuc
from exporter.families.multimodal_transformer.config import ModelConfig
from npuc.artifact.artifact import Artifact
from npuc.cli import run
from npuc.demo import demo_folder
from npuc.demo.assets import SAMPLE_IMAGE, SAMPLE_SOUND, write_json
from npuc.demo.training import build_model
from npuc.settings.recipe import Recipe

pytestmark = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="qemu-aarch64 is not installed")

RECIPE = Recipe.model_validate(
    {
        "name": "nested",
        "calibration": {"samples": 2},
        "prune": {
            "subnetworks": [{"name": "full", "operations": 1.0}, {"name": "low_power", "operations": 0.6}],
            "steps": 2,
            "requests": 4,
        },
    }
)
SMALL = {"width": 32, "heads": 2, "mlp_width": 64, "mixer_width": 64}
LAYERS = dict.fromkeys(("vision", "audio", "text", "fusion", "decoder"), 1)


def small_model(folder: Path) -> Path:
    """One layer a part, half as wide, with the bundled model's tokenizer and calibration requests."""

    shutil.copytree(demo_folder(), folder, ignore=shutil.ignore_patterns("test.*", "transfer.*", "model.*"))
    config = ModelConfig.from_json(json.loads((folder / "config.json").read_text()))
    layers = {f"{part}_layers": count for part, count in LAYERS.items()}
    config = dataclasses.replace(config, **SMALL, **layers)
    write_json(folder / "config.json", config.to_json())
    weights = {name: tensor.contiguous() for name, tensor in build_model(config, seed=0).state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("nested")
    patch = pytest.MonkeyPatch()
    if "NPUC_CACHE" not in os.environ:
        patch.setenv("NPUC_CACHE", str(root / "cache"))
    model = small_model(root / "model")
    npuc.compile(model, device="xiaomi-15", npu="cpu", out=root / "out", recipe=RECIPE)
    yield root / "out"
    patch.undo()


@pytest.fixture
def question():
    files = demo_folder()
    return {"prompt": "what is the sum?", "image": files / SAMPLE_IMAGE, "audio": files / SAMPLE_SOUND}


def test_the_artifact_lists_its_subnetworks(folder):
    full, small = Artifact(folder).manifest.subnetworks
    assert (full.name, full.components, full.operations_share) == ("full", {}, 1.0)
    assert small.name == "low_power" and 0.4 < small.operations_share <= 0.6
    assert small.components["vision_encoder"] == "vision_encoder_low_power"
    assert small.bytes_touched < full.bytes_touched
    assert small.operations < full.operations
    assert "valid across a switch" in small.cache
    assert (folder / "training" / "subnetworks.json").is_file()


def test_narrow_weights_are_the_first_bytes_of_whole_ones(folder):
    """One weights file; a sub-network adds nothing to it."""
    whole, narrow = (
        ir.load(folder / "model" / f"{name}.onnx") for name in ("vision_encoder", "vision_encoder_low_power")
    )
    originals = {name: v.const_value for name, v in whole.graph.initializers.items()}
    views = {name: v.const_value for name, v in narrow.graph.initializers.items() if ":" in name}
    assert views
    for name, view in views.items():
        original = originals[name.partition(":")[0]]
        assert (view.location, view.offset) == (original.location, original.offset)
        assert view.nbytes < original.nbytes
    external = {
        v.const_value.offset: v.const_value.nbytes
        for path in (folder / "model").glob("*.onnx")
        for name, v in ir.load(path).graph.initializers.items()
        if isinstance(v.const_value, ir.ExternalTensor) and ":" not in name
    }
    size = (folder / "model" / "weights.bin").stat().st_size
    assert size <= 1.02 * sum(-(-nbytes // 128) * 128 for nbytes in external.values())


@pytest.mark.parametrize("power", ["low_power", "full:1,low_power"])
def test_binaries_answer_as_the_reference_does(folder, question, power):
    artifact = Artifact(folder)
    answers = [
        artifact.run(**question, max_new_tokens=4, power=power, reference=reference)
        for reference in (False, True)
    ]
    assert answers[0].tokens == answers[1].tokens


def test_the_command_runs_and_verifies_a_schedule(folder, question, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    arguments = [f"--{name}={value}" for name, value in question.items()]
    assert run(["run", str(folder), *arguments, "--power", "full:4,low_power"]) == 0
    assert run(["run", str(folder), *arguments, "--power", "turbo"]) == 2
    assert "no sub-network turbo" in capfd.readouterr().err
    assert run(["verify", str(folder)]) == 0
    shown = capfd.readouterr().out
    assert "low_power" in shown and "valid across a switch" in shown
