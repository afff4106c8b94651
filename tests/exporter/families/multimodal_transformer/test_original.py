"""The demo's own torch module against its captured components; and folders whose weights are not the module's."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from exporter.errors import ExportError, SourceError
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.original import original_model
from npuc.demo import demo_folder
from npuc.demo.dataset import demo_requests
from program.onnx_executor import OnnxExecutor
from tests.originals import largest_difference, record_calls, runner_of

COMPONENTS = ["vision_encoder", "audio_encoder", "text_encoder", "fusion", "decode"]
CHANGED = {
    "vision_encoder": "vision_encoder.stem.2.weight",
    "audio_encoder": "audio_encoder.position",
    "text_encoder": "text_encoder.embedding.weight",
    "fusion": "fusion.latents",
    "decode": "decoder.head.weight",
}


@pytest.fixture(scope="module")
def calls(demo):
    executors = {name: OnnxExecutor(component.model) for name, component in demo.components.items()}
    return record_calls(demo, executors, demo_requests("test")[:3], 8)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(demo_folder(), tmp_path / "model")


def original(folder):
    config = ModelConfig.from_json(json.loads((folder / "config.json").read_text()))
    return original_model(config, [folder / "model.safetensors"])


def edit_weights(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_captured_component_computes_what_the_module_computes(demo, calls, name):
    assert list(demo.original.openers) == COMPONENTS
    assert demo.original.method == "its torch module in eager mode"
    assert len(calls[name]) >= 3
    assert largest_difference(demo.original.openers[name](), calls[name]) <= 1e-5


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_changed_weight_is_seen(calls, folder, name):
    edit_weights(folder, lambda weights: weights.update({CHANGED[name]: weights[CHANGED[name]] * 1.05}))
    assert largest_difference(original(folder).openers[name](), calls[name]) > 1e-3


def test_the_module_alone_answers_right(demo):
    executors = {name: opener() for name, opener in demo.original.openers.items()}
    requests = demo_requests("test")[:12]
    right = [runner_of(demo).generate(executors, item, 8).text == item.answer for item in requests]
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda weights: weights.pop("fusion.latents"), "Missing key.*fusion.latents"),
        (lambda weights: weights.update({"fusion.latents": np.ones((1, 1, 1), np.float32)}), "size mismatch"),
        (
            lambda weights: weights.update({"fusion.other": np.ones(1, np.float32)}),
            "Unexpected.*fusion.other",
        ),
    ],
)
def test_other_weights_than_those_of_the_module_are_refused(folder, edit, told):
    edit_weights(folder, edit)
    with pytest.raises(ExportError, match=f"(?s)not exactly those of.*model.safetensors.*{told}"):
        original(folder).openers["fusion"]()


def test_a_damaged_file_is_refused(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SourceError, match=r"(?s)weights cannot be read.*model.safetensors"):
        original(folder).openers["fusion"]()


def test_a_huge_config_asks_for_no_memory(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "mixer_width": 1 << 20, "mlp_width": 1 << 20}))
    with pytest.raises(ExportError, match="size mismatch"):
        original(folder).openers["fusion"]()
