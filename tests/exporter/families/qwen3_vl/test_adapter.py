"""The adapter on damaged folders, and what it keeps out of memory."""

import json
import shutil

import numpy as np
import onnx_ir as ir
import pytest

from exporter.errors import ExportError, SourceError
from exporter.options import CaptureOptions
from exporter.sources import open_source
from program.lazy_tensor import BlockwiseTensor

OPTIONS = CaptureOptions(image_size=(64, 96), prefill_length=16, cache_length=96)


@pytest.fixture
def folder(tiny_qwen_folder, tmp_path):
    return shutil.copytree(tiny_qwen_folder, tmp_path / "model")


def edit(folder, file, **changes):
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_weights_lie_in_the_users_file(qwen):
    for component in qwen.program.components.values():
        for name, value in component.model.graph.initializers.items():
            if name.startswith(("model.", "lm_head.")):
                assert isinstance(value.const_value, ir.ExternalTensor)
                assert value.const_value.path == str(qwen.folder / "model.safetensors")


def test_prefill_and_decode_share_all_weights(qwen):
    prefill, decode = (
        {name for name in qwen.program.components[part].model.graph.initializers if "/" not in name}
        for part in ("prefill", "decode")
    )
    assert prefill == decode
    tied = "lm_head.weight" not in prefill
    assert tied == ("model.language_model.embed_tokens.weight" in prefill)


def test_deepstack_is_fusion_and_the_rest_text(qwen):
    tags = {node.metadata_props["npuc.modality"] for node in qwen.program.components["prefill"].model.graph}
    assert tags == {"text", "fusion"}
    assert {
        node.metadata_props["npuc.modality"] for node in qwen.program.components["decode"].model.graph
    } == {"text"}
    assert {
        node.metadata_props["npuc.modality"] for node in qwen.program.components["vision_encoder"].model.graph
    } == {"vision"}


def test_provenance_and_settings_survive_json(qwen):
    assert json.loads(json.dumps(qwen.program.settings)) == qwen.program.settings
    assert len(qwen.program.provenance["files"]["model.safetensors"]) == 64
    assert len(qwen.program.requests) == 4


def test_an_image_size_off_the_grid_names_the_nearest(folder):
    with pytest.raises(ExportError, match="use 64 x 96"):
        open_source(folder, CaptureOptions(image_size=(60, 100)))


def test_weights_that_do_not_fit_the_config(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] = 160
    edit(folder, "config.json", **config)
    with pytest.raises(ExportError, match=r"(?s)mlp\.\w+_proj\.weight.*128.*160"):
        open_source(folder, OPTIONS)


def test_a_bfloat16_checkpoint_converts_lazily(folder):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.bfloat16() for name, tensor in tensors.items()}, folder / "model.safetensors")
    from exporter.families.qwen3_vl.adapter import Qwen3VLFamily, _Capturer, parse_config, patch_layout
    from exporter.files.model_folder import ModelFolder
    from exporter.files.weights import Checkpoint

    assert Qwen3VLFamily.name == "qwen3_vl"
    model_folder = ModelFolder(folder)
    config = parse_config(model_folder.config, "")
    options = CaptureOptions(image_size=(64, 96), dtype="float16")
    component = _Capturer(
        config, Checkpoint(model_folder), options, patch_layout(model_folder, config, options)
    ).embedding()
    (weight,) = component.model.graph.initializers.values()
    assert isinstance(weight.const_value, BlockwiseTensor)
    expected = tensors["model.language_model.embed_tokens.weight"].bfloat16().float().numpy()
    np.testing.assert_array_equal(weight.const_value.numpy(), expected.astype(np.float16))


def test_code_named_by_the_folder_is_not_run(folder):
    (folder / "modeling.py").write_text("raise SystemExit('code of the model folder was run')")
    edit(folder, "config.json", auto_map={"AutoModel": "modeling.Model"}, model_type="other")
    with pytest.raises(ExportError, match=r"(?s)architecture is not supported.*'other'.*qwen3_vl"):
        open_source(folder, OPTIONS)


def test_preprocessor_values_are_checked(folder):
    edit(folder, "preprocessor_config.json", image_mean=[0.5])
    with pytest.raises(ExportError, match="image_mean must be three numbers"):
        open_source(folder, OPTIONS)


def test_no_end_token(folder):
    edit(folder, "generation_config.json", **{"eos_token_id": "x"})
    from exporter.files.generation_config import end_tokens
    from exporter.files.model_folder import ModelFolder

    with pytest.raises(SourceError, match="eos_token_id = x"):
        end_tokens(ModelFolder(folder))
