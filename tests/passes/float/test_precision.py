import numpy as np
import pytest

from passes.core.errors import PassError
from passes.float.precision import LayerFormat, Override, PrecisionPolicy, weight_of
from program.number_format import Format
from program.program import MODALITY_KEY, Modality

TEXT = "g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }"


def layer(model_from, modality="text", name="layers.0/matmul", weight="w"):
    model = model_from(
        TEXT.replace(" w)", f" {weight})").replace(", w)", f", {weight})"),
        {weight: np.ones((3, 4), np.float32)},
    )
    node = model.graph[0]
    node.name = name
    node.metadata_props[MODALITY_KEY] = modality
    return node


@pytest.mark.parametrize(
    ("modality", "expected"), [("vision", "e4m3"), ("audio", "e4m3"), ("text", "e5m2"), ("fusion", "float16")]
)
def test_default_format_follows_the_modality(modality, expected, model_from):
    choice = PrecisionPolicy().format_of(layer(model_from, modality))
    assert choice.format == expected
    assert modality in choice.reason


@pytest.mark.parametrize("weight", ["lm_head", "embed_tokens"])
def test_head_and_embedding_stay_in_the_base_format(weight, model_from):
    choice = PrecisionPolicy(base=Format.FLOAT32).format_of(layer(model_from, weight=weight))
    assert choice.format is Format.FLOAT32
    assert "kept" in choice.reason


def test_the_first_matching_override_wins(model_from):
    overrides = (
        Override("layers.1*", Format.FLOAT16),
        Override("layers.*", Format.E4M3),
        Override("*", Format.E5M2),
    )
    policy = PrecisionPolicy(overrides=overrides)
    assert policy.format_of(layer(model_from)) == LayerFormat(Format.E4M3, "override layers.*")


def test_overrides_match_weight_names_and_lift_keep_rules(model_from):
    policy = PrecisionPolicy(overrides=(Override("lm_head", Format.E4M3),))
    assert policy.format_of(layer(model_from, weight="lm_head")).format is Format.E4M3


def test_float16_layers_of_a_float32_graph_stay_in_float32_and_say_so(model_from):
    policy = PrecisionPolicy(base=Format.FLOAT32, overrides=(Override("w", Format.FLOAT16),))
    choice = policy.format_of(layer(model_from))
    assert choice == LayerFormat(Format.FLOAT32, "override w: float16, computed in the base format")


def test_measurements_come_before_the_modality(model_from):
    policy = PrecisionPolicy(measured={"w": LayerFormat(Format.E4M3, "measured")})
    assert policy.format_of(layer(model_from)).reason == "measured"


def test_nodes_without_a_weight_compute_in_the_base_format(model_from):
    model = model_from("g (float[2,3] x, float[3,2] z) => (float[2,2] y) { y = MatMul(x, z) }")
    assert weight_of(model.graph[0]) is None
    assert PrecisionPolicy().format_of(model.graph[0]).format is Format.FLOAT16


def test_the_base_cannot_be_fp8():
    with pytest.raises(PassError, match="base format"):
        PrecisionPolicy(base=Format.E4M3)


@pytest.mark.parametrize(
    ("fmt", "largest"), [(Format.E4M3, 448), (Format.E5M2, 57344), (Format.FLOAT16, 65504)]
)
def test_largest_values(fmt, largest):
    assert fmt.largest == largest


def test_default_policy_knows_every_modality():
    assert set(PrecisionPolicy().by_modality) == set(Modality)
