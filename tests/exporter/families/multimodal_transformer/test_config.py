import dataclasses

import pytest

from exporter.errors import SourceError
from exporter.families.multimodal_transformer.config import ModelConfig
from exporter.families.multimodal_transformer.preprocessor import Preprocessor
from npuc.demo.tokenizer import build_tokenizer
from npuc.demo.train import reference_config


@pytest.fixture(scope="module")
def config():
    return reference_config(Preprocessor(), build_tokenizer())


def test_round_trip(config):
    document = config.to_json()
    assert document["model_type"] == "multimodal_transformer"
    assert ModelConfig.from_json(document) == config


def test_derived_dimensions(config):
    assert (config.head_dim, config.vision_tokens, config.audio_tokens) == (16, 32, 32)


@pytest.mark.parametrize("value", [None, "64", 6.5, True, 0, -1, 1 << 30])
@pytest.mark.parametrize("name", ["width", "decoder_layers"])
def test_a_bad_dimension_is_named(config, name, value):
    with pytest.raises(SourceError) as caught:
        ModelConfig.from_json({**config.to_json(), name: value})
    assert caught.value.where == f"config.json: {name}"


@pytest.mark.parametrize(
    "change",
    [{"heads": 5}, {"image_height": 30}, {"image_width": 60}, {"audio_frames": 127}, {"eos_token_id": 9999}],
)
def test_dimensions_that_do_not_fit_together(config, change):
    with pytest.raises(SourceError, match="do not fit together"):
        ModelConfig.from_json({**config.to_json(), **change})


def test_every_field_is_required(config):
    for field in dataclasses.fields(ModelConfig):
        document = config.to_json()
        del document[field.name]
        with pytest.raises(SourceError, match="missing"):
            ModelConfig.from_json(document)
