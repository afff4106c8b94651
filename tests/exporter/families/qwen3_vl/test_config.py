import copy

import pytest

from benchmarks.capture_memory import CONFIG
from exporter.errors import ExportError
from exporter.families.qwen3_vl.config import parse_config

REQUIRED = [
    ("text_config", key) for key in CONFIG["text_config"] if key not in ("eos_token_id", "rope_scaling")
]
REQUIRED += [("vision_config", key) for key in CONFIG["vision_config"]]


def changed(section, key, value=None):
    config = copy.deepcopy(CONFIG)
    target = config[section] if section else config
    if value is None:
        del target[key]
    else:
        target[key] = value
    return config


def test_the_four_billion_model():
    config = parse_config(CONFIG, "config.json")
    assert (config.text.num_hidden_layers, config.text.rope_theta) == (36, 5000000)
    assert (config.vision.head_dim, config.vision.patch_dim, config.vision.size_factor) == (64, 1536, 32)


def test_both_ways_of_writing_rotary_settings_agree():
    config = copy.deepcopy(CONFIG)
    text = config["text_config"]
    text["rope_parameters"] = {**text.pop("rope_scaling"), "rope_theta": text.pop("rope_theta")}
    assert parse_config(config, "") == parse_config(CONFIG, "")


@pytest.mark.parametrize(("section", "key"), REQUIRED)
def test_each_missing_field_is_named(section, key):
    with pytest.raises(ExportError, match=rf"{section}\.{key} is missing"):
        parse_config(changed(section, key), "config.json")


@pytest.mark.parametrize("key", ["image_token_id", "tie_word_embeddings"])
def test_missing_top_level_fields(key):
    with pytest.raises(ExportError, match=f"{key} is missing"):
        parse_config(changed(None, key), "config.json")


def test_all_faults_are_reported_at_once():
    config = changed("text_config", "head_dim")
    del config["vision_config"]["depth"]
    with pytest.raises(
        ExportError, match=r"text_config\.head_dim is missing; vision_config\.depth is missing"
    ):
        parse_config(config, "config.json")


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("text_config", "hidden_size", "2560", "text_config.hidden_size = 2560"),
        ("text_config", "hidden_size", 2560.5, "hidden_size"),
        ("text_config", "hidden_size", -1, "greater than 0"),
        ("text_config", "num_hidden_layers", 10**9, "less than or equal to 1024"),
        ("text_config", "hidden_act", "gelu", "hidden_act"),
        ("text_config", "attention_bias", True, "attention_bias"),
        ("text_config", "num_key_value_heads", 7, "multiple of num_key_value_heads"),
        ("text_config", "head_dim", 64, "mrope_section must add up"),
        ("text_config", "rope_scaling", {"rope_type": "yarn"}, "rope_type"),
        ("vision_config", "hidden_act", "relu", "hidden_act"),
        ("vision_config", "num_position_embeddings", 2305, "must be a square"),
        ("vision_config", "deepstack_visual_indexes", [5, 99], "below depth"),
        ("vision_config", "deepstack_visual_indexes", [5, 5], "ascending"),
        ("vision_config", "out_hidden_size", 2048, "must equal text_config.hidden_size"),
        ("vision_config", "num_heads", 7, "multiple of 4"),
        (None, "text_config", 3, "has no text_config"),
        (None, "image_token_id", 151936, "below text_config.vocab_size"),
    ],
)
def test_wrong_values(section, key, value, message):
    with pytest.raises(ExportError, match=message) as caught:
        parse_config(changed(section, key, value), "config.json")
    assert caught.value.exit_code == 3
