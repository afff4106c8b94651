import dataclasses
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from exporter.errors import ExportError, SourceError
from exporter.families.multimodal_transformer.components import component_modules
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.family import MultimodalTransformerFamily
from exporter.families.multimodal_transformer.folder_tokenizer import FolderTokenizer
from exporter.families.multimodal_transformer.generation import TorchAnswerer
from exporter.families.multimodal_transformer.model import MultiModalTransformer
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from exporter.files.model_folder import ModelFolder
from exporter.options import CaptureOptions
from npuc.demo import demo_folder
from npuc.demo.dataset import demo_requests
from program.onnx_executor import OnnxExecutor
from program.program import MODALITY_KEY, Modality

COMPONENTS = ["vision_encoder", "audio_encoder", "text_encoder", "fusion", "decode"]


@pytest.fixture(scope="module")
def program(demo):
    return demo


@pytest.fixture(scope="module")
def executors(program):
    return {name: OnnxExecutor(component.model) for name, component in program.components.items()}


@pytest.fixture(scope="module")
def signatures(program):
    return {name: component.inputs for name, component in program.components.items()}


@pytest.fixture(scope="module")
def runner(program, signatures):
    return MultimodalTransformerFamily().runner(program.settings, program.assets, signatures)


@pytest.fixture(scope="module")
def torch_model():
    model = MultiModalTransformer(
        ModelConfig.from_json(json.loads((demo_folder() / "config.json").read_text()))
    )
    weights = load_file(demo_folder() / "model.safetensors")
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model.eval()


@pytest.fixture
def folder(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(demo_folder(), copy)
    return copy


def random_feeds(specs, seed=0):
    rng = np.random.default_rng(seed)
    return {
        spec.name: rng.integers(0, 8, spec.shape)
        if spec.numpy_dtype == np.int64
        else rng.normal(size=spec.shape).astype(spec.numpy_dtype)
        for spec in specs
    }


def test_components_come_in_the_order_of_execution(program):
    assert list(program.components) == COMPONENTS
    assert [component.role.value for component in program.components.values()] == COMPONENTS


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_computes_what_torch_computes(program, executors, torch_model, name):
    specs = program.components[name].inputs
    feeds = random_feeds(specs)
    module, _ = component_modules(torch_model)[name]
    with torch.no_grad():
        expected = module(*(torch.from_numpy(feeds[spec.name]) for spec in specs))
    expected = expected if isinstance(expected, tuple) else (expected,)
    received = executors[name](feeds)
    assert list(received) == [spec.name for spec in program.components[name].outputs]
    for wanted, array in zip(expected, received.values(), strict=True):
        assert array.shape == wanted.shape
        assert np.abs(array - wanted.numpy()).max() <= 1e-4


def test_answers_equal_torch_greedy_decoding(program, executors, runner, torch_model):
    requests = demo_requests("test")[:24]
    tokenizer = FolderTokenizer(program.assets["tokenizer.json"])
    preprocessor = Preprocessor.from_json(program.settings["preprocessor"])
    expected = TorchAnswerer(torch_model, preprocessor, tokenizer)(requests)
    assert [runner.generate(executors, request, 8).text for request in requests] == expected


def test_the_shipped_weights_answer_the_shipped_test_set(executors, runner):
    requests = demo_requests("test")[:60]
    right = [runner.generate(executors, request, 8).text == request.answer for request in requests]
    assert np.mean(right) >= 0.9


def test_streaming_yields_the_answer_in_pieces(executors, runner):
    request = next(request for request in demo_requests("test") if len(request.answer) == 3)
    answer = runner.generate(executors, request, 8)
    pieces = list(runner.stream(executors, request, 8))
    assert len(pieces) == len(answer.tokens) > 1
    assert "".join(pieces) == answer.text


def test_generation_stops_at_the_limit(executors, runner):
    assert len(runner.generate(executors, demo_requests("test")[0], 1).tokens) == 1


def test_provenance_and_settings_fit_a_manifest(program):
    assert json.loads(json.dumps(program.settings)) == program.settings
    assert set(program.provenance["files"]) >= {"config.json", "model.safetensors", "tokenizer.json"}


def test_each_node_has_a_modality(program):
    tags = {
        name: {node.metadata_props[MODALITY_KEY] for node in component.model.graph}
        for name, component in program.components.items()
    }
    assert tags["vision_encoder"] == {Modality.VISION}
    assert tags["audio_encoder"] == {Modality.AUDIO}
    assert tags["text_encoder"] == {Modality.TEXT}
    assert tags["fusion"] == {Modality.FUSION}
    assert tags["decode"] == {Modality.TEXT, Modality.FUSION}


def test_weights_stay_in_the_checkpoint(program):
    stored = set(load_file(demo_folder() / "model.safetensors"))
    used = {
        name
        for component in program.components.values()
        for name in component.model.graph.initializers
        if "/" not in name
    }
    assert used == stored


def test_calibration_requests_are_real(program):
    assert len(program.requests) >= 32
    assert all(request.image is not None and request.audio is not None for request in program.requests)


def test_a_float16_capture_runs():
    half = MultimodalTransformerFamily().capture(ModelFolder(demo_folder()), CaptureOptions(dtype="float16"))
    signatures = {name: component.inputs for name, component in half.components.items()}
    executors = {name: OnnxExecutor(component.model) for name, component in half.components.items()}
    assert signatures["decode"][2].numpy_dtype == np.float16
    runner = MultimodalTransformerFamily().runner(half.settings, half.assets, signatures)
    requests = demo_requests("test")[:12]
    right = [runner.generate(executors, request, 8).text == request.answer for request in requests]
    assert np.mean(right) >= 0.8


@pytest.mark.parametrize("missing", ["image", "audio"])
def test_a_request_without_an_input_is_refused(executors, runner, missing):
    request = dataclasses.replace(demo_requests("test")[0], **{missing: None})
    with pytest.raises(SourceError, match="lacks a"):
        runner.generate(executors, request, 8)


def capture(folder):
    return MultimodalTransformerFamily().capture(ModelFolder(folder), CaptureOptions())


def test_a_missing_tensor_is_named(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["vision_encoder.resampler.norm.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ExportError) as caught:
        capture(folder)
    assert "vision_encoder.resampler.norm.weight" in str(caught.value)


@pytest.mark.parametrize(
    ("file", "group", "name", "value"),
    [
        ("config.json", None, "image_width", 128),
        ("config.json", None, "text_length", 8),
        ("config.json", None, "vocab_size", 4096),
        ("preprocessor_config.json", "audio", "mel_bins", 40),
    ],
)
def test_files_that_do_not_belong_together_are_refused(folder, file, group, name, value):
    document = json.loads((folder / file).read_text())
    (document[group] if group else document)[name] = value
    (folder / file).write_text(json.dumps(document))
    with pytest.raises(SourceError, match="does not make what"):
        capture(folder)


def test_a_config_that_does_not_fit_the_weights_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "mlp_width": 96}))
    with pytest.raises(ExportError) as caught:
        capture(folder)
    assert "shape" in str(caught.value)


def test_a_damaged_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(SourceError, match=r"tokenizer\.json cannot be read"):
        capture(folder)


def test_only_its_own_configs_match():
    family = MultimodalTransformerFamily()
    assert family.matches({"model_type": "multimodal_transformer"})
    assert not family.matches({"model_type": "qwen3_vl"})
    assert not family.matches({})


def test_the_runner_needs_no_torch():
    code = (
        "import sys, exporter.families.multimodal_transformer.family as f;"
        "f.MultimodalTransformerFamily(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
