import json
import math

import numpy as np
import pytest
from safetensors import safe_open

from npuc.demo import demo_folder
from passes.learning.distillation.families import student_family
from passes.learning.distillation.layout import Axis
from passes.learning.training.errors import TrainingError

QWEN_4B = {
    "model_type": "qwen3_vl",
    "image_token_id": 151655,
    "tie_word_embeddings": True,
    "text_config": {
        "vocab_size": 151936, "hidden_size": 2560, "hidden_act": "silu", "intermediate_size": 9728,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "rms_norm_eps": 1e-6, "attention_bias": False,
        "rope_scaling": {
            "rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
        },
    },
    "vision_config": {
        "depth": 24, "hidden_size": 1024, "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 4096,
        "num_heads": 16, "in_channels": 3, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "out_hidden_size": 2560, "num_position_embeddings": 2304, "deepstack_visual_indexes": [5, 11, 17],
    },
}  # fmt: skip


def stored_shapes(folder):
    with safe_open(folder / "model.safetensors", "np") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


def described_shapes(layout):
    return {
        weight.name.format(layer=layer): tuple(axis.size(layout.dimensions) for axis in weight.axes)
        for weight in layout.weights
        for layer in range(layout.dimensions[weight.layers] if weight.layers else 1)
    }


def test_the_reference_models_layout_names_every_tensor_of_its_checkpoint():
    config = json.loads((demo_folder() / "config.json").read_text())
    layout = student_family(config).layout(config)
    stored = stored_shapes(demo_folder())
    assert described_shapes(layout) == stored
    assert layout.count() == sum(math.prod(shape) for shape in stored.values()) == 823_744


@pytest.mark.parametrize("model", ["tied", "untied"])
def test_qwens_layout_names_every_tensor_that_transformers_writes(tiny_qwen3_vl, model):
    folder = tiny_qwen3_vl[model]
    config = json.loads((folder / "config.json").read_text())
    layout = student_family(config).layout(config)
    assert described_shapes(layout) == stored_shapes(folder)


def test_the_4b_has_its_published_number_of_parameters():
    layout = student_family(QWEN_4B).layout(QWEN_4B)
    assert layout.count() == 4_437_815_808
    assert layout.share("vision") == pytest.approx(0.0936, abs=1e-4)


def test_rows_of_an_axis_follow_repeats_and_units():
    axis = Axis("heads", width=2, repeats=3)
    assert axis.size({"heads": 4}) == 24
    assert axis.rows(np.array([1, 3]), 4).tolist() == [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23]
    assert Axis("", 3).rows(np.array([0]), 1).tolist() == [0, 1, 2]


def test_other_families_are_refused():
    with pytest.raises(TrainingError, match="cannot be distilled") as caught:
        student_family({"model_type": "llama"})
    assert "qwen3_vl" in caught.value.remedy
