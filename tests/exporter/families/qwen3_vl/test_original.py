"""transformers' own modules, streamed from the checkpoint, against the captured components."""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from exporter.calibration import image_requests
from exporter.errors import ExportError
from exporter.families.qwen3_vl.adapter import bind_stock_names
from exporter.families.qwen3_vl.config import parse_config
from exporter.families.qwen3_vl.original import original_model
from exporter.families.qwen3_vl.stock_model import build
from exporter.files.model_folder import ModelFolder
from exporter.files.weights import Checkpoint
from program.program import Request
from tests.memory import watched_memory
from tests.originals import largest_difference, record_calls, runner_of

COMPONENTS = ["vision_encoder", "embedding", "prefill", "decode"]
GRID = (4, 6)
LONG = "What expires first on this long shelf of milk, bread, apples, and a compiler?"


@pytest.fixture(scope="module")
def calls(qwen):
    """One request with a picture and one of text alone, over several chunks each."""
    requests = [image_requests(7, 1, (64, 96))[0], Request(prompt=LONG)]
    return record_calls(qwen.program, qwen.executors, requests, 4)


@pytest.fixture
def folder(qwen, tmp_path):
    return shutil.copytree(qwen.folder, tmp_path / "model")


def original(folder, **changed_text):
    opened = ModelFolder(folder)
    config = {**opened.config, "text_config": {**opened.config["text_config"], **changed_text}}
    parsed = parse_config(config, "config.json")
    return original_model(config, GRID, bind_stock_names(parsed, Checkpoint(opened)))


def edit_weights(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_the_requests_reach_every_case(calls):
    prefill, decode = calls["prefill"], calls["decode"]
    assert len(prefill) >= 4 and len(decode) == 6 and len(calls["vision_encoder"]) == 1
    assert any(call.feeds["deepstack_0"].any() for call in prefill)
    assert any(not call.feeds["deepstack_0"].any() for call in prefill)
    assert any(call.feeds["past_key_0"].any() for call in prefill)
    assert any(call.feeds["logit_index"] < 15 for call in prefill)  # rows of padding


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_captured_component_computes_what_transformers_computes(qwen, calls, name):
    openers = qwen.program.original.openers
    assert list(openers) == COMPONENTS
    assert largest_difference(openers[name](), calls[name]) <= 1e-5


def test_the_method_names_the_version(qwen):
    import transformers

    expected = f"transformers {transformers.__version__}, layer by layer"
    assert qwen.program.original.method == expected


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("vision_encoder", "model.visual.blocks.1.mlp.linear_fc1.weight"),
        ("vision_encoder", "model.visual.pos_embed.weight"),
        ("embedding", "model.language_model.embed_tokens.weight"),
        ("prefill", "model.language_model.layers.1.self_attn.k_norm.weight"),
        ("decode", "model.language_model.norm.weight"),
    ],
)
def test_a_changed_weight_is_seen(calls, folder, name, weight):
    edit_weights(folder, lambda weights: weights[weight].mul_(1.05))
    assert largest_difference(original(folder).openers[name](), calls[name]) > 1e-3


def test_the_streamed_model_answers_like_the_loaded_one(qwen):
    executors = {name: opener() for name, opener in qwen.program.original.openers.items()}
    ids = torch.from_numpy(runner_of(qwen.program).encode(Request(prompt=LONG)))[None]
    generated = qwen.reference.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False
    )[0, ids.shape[1] :].tolist()
    answer = runner_of(qwen.program).generate(executors, Request(prompt=LONG), 6)
    assert list(answer.tokens) == [t for t in generated if t not in qwen.program.settings["eos_token_ids"]]


def test_a_missing_weight_is_named(folder):
    name = "model.language_model.layers.1.mlp.up_proj.weight"
    edit_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(ExportError, match=f"(?s)lacks a tensor.*{name}"):
        original(folder).openers["decode"]()
    original(folder).openers["vision_encoder"]()


def test_a_weight_of_another_shape_is_named(folder):
    with pytest.raises(ExportError, match=r"(?s)does not fit config.json.*mlp\.\w+_proj\.weight.*160"):
        original(folder, intermediate_size=160).openers["prefill"]()


def test_a_config_that_transformers_refuses(folder):
    with pytest.raises(ExportError, match=r"(?s)transformers cannot build.*max_position_embeddings"):
        original(folder, max_position_embeddings="many").openers["embedding"]()


def test_the_folder_cannot_name_code(qwen):
    config = json.loads((qwen.folder / "config.json").read_text())
    hostile = {
        "attn_implementation": "somebody/kernel",
        "_attn_implementation": "somebody/kernel",
        "_attn_implementation_internal": "somebody/kernel",
        "auto_map": {"AutoModel": "modeling.Model"},
        "dtype": "bfloat16",
        "quantization_config": {"quant_method": "awq"},
    }
    for section in (config, config["text_config"], config["vision_config"]):
        section |= hostile
    model = build(config)
    for part in (model, model.model.visual, model.model.language_model):
        assert part.config._attn_implementation == "eager"
        assert not any(hasattr(part.config, name) for name in ("auto_map", "quantization_config"))
        assert all(parameter.is_meta and parameter.dtype == torch.float32 for parameter in part.parameters())


def raise_not_found(name):
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(
    ("where", "name", "replacement"),
    [
        (importlib.util, "find_spec", lambda name: None),
        (importlib.metadata, "version", raise_not_found),
    ],
)
def test_without_transformers(monkeypatch, where, name, replacement):
    monkeypatch.setattr(where, name, replacement)
    found = original_model({}, GRID, None)
    assert (found.openers, found.missing) == ({}, "transformers is not installed")


def test_with_an_older_transformers(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "4.57.1")
    found = original_model({}, GRID, None)
    assert (found.openers, found.missing) == ({}, "transformers 4.57.1 is installed, 5.x is needed")


def test_nothing_is_imported_before_a_component_is_opened():
    code = (
        "import sys; from exporter.families.qwen3_vl.adapter import original_model;"
        "original_model({}, (4, 6), None);"
        "sys.exit(bool({'torch', 'transformers'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_follow_the_depth(tiny_qwen_folder, tmp_path):
    sizes = {"hidden_size": 64, "intermediate_size": 1 << 15, "mrope_section": [4, 2, 2]}
    layer = 4 * 3 * 64 * (1 << 15)
    for depth in (4, 12):
        folder = tmp_path / str(depth)
        _write_zeros(tiny_qwen_folder, folder, {**sizes, "num_hidden_layers": depth})
        executor = original(folder).openers["decode"]()
        feeds = {
            "inputs_embeds": np.ones((1, 1, 64), np.float32),
            "mask": np.zeros((1, 1, 1, 9), np.float32),
            "position_ids": np.zeros((3, 1, 1), np.int64),
        }
        past = {f"past_{kind}_{i}": (1, 2, 8, 16) for i in range(depth) for kind in ("key", "value")}
        feeds |= {name: np.zeros(shape, np.float32) for name, shape in past.items()}
        with watched_memory() as peak:
            executor(feeds)
        assert peak.growth < 2 * layer


def _write_zeros(source, folder, text):
    """A checkpoint of the same family and other sizes; all weights are zero, in bfloat16."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"] |= text
    (folder / "config.json").write_text(json.dumps(config))
    names = build(config).named_parameters()
    weights = {name: torch.zeros(value.shape, dtype=torch.bfloat16) for name, value in names}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
