"""Masks of attention against the standard's own definition, rows that see nothing included."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from passes.float.convert_float16 import ConvertFloat16
from passes.normalize.decompose.decompose_attention import DecomposeAttention
from program.onnx_executor import OnnxExecutor

QUERIES, KEYS = 3, 5
BOOLEAN = np.array([[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
NO_ROW_HIDDEN = np.array([[1, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
ADDITIVE = np.where(BOOLEAN, np.linspace(-1, 1, 15).reshape(3, 5), -np.inf).astype(np.float32)
MASKS = {
    "boolean": BOOLEAN,
    "boolean for each head": np.stack([BOOLEAN, BOOLEAN[::-1], NO_ROW_HIDDEN, ~BOOLEAN])[None],
    "boolean, narrower than the keys": BOOLEAN[:, :3],
    "additive": ADDITIVE,
    "additive, narrower than the keys": ADDITIVE[:, :4],
    "additive, for each head": np.stack([ADDITIVE, ADDITIVE[::-1], ADDITIVE + 1, ADDITIVE])[None],
}


def graph_text(mask, causal=0, element="float"):
    kind = "bool" if mask.dtype == np.bool_ else element
    extents = ",".join(map(str, mask.shape))
    inputs = f"{element}[1,4,{QUERIES},8] q, {element}[1,2,{KEYS},8] k, {element}[1,2,{KEYS},6] v"
    return f"""g ({inputs}, {kind}[{extents}] m)
    => ({element}[1,4,{QUERIES},6] y) {{ y = Attention<is_causal={causal}>(q, k, v, m) }}"""


def feeds_of(mask):
    rng = np.random.default_rng(3)
    shapes = {"q": (1, 4, QUERIES, 8), "k": (1, 2, KEYS, 8), "v": (1, 2, KEYS, 6)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} | {
        "m": mask
    }


def standard(model, feeds):
    return ReferenceEvaluator(ir.to_proto(model)).run(None, dict(feeds))[0]


@pytest.mark.parametrize("constant", [False, True], ids=["computed", "constant"])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("name", MASKS)
def test_masked_rows_are_as_the_standard_defines_them(name, causal, constant, model_from):
    mask = MASKS[name]
    model, feeds = model_from(graph_text(mask, causal)), feeds_of(mask)
    expected = standard(model, feeds)
    assert not np.isnan(expected).any()
    given = model_from(graph_text(mask, causal), {"m": mask}) if constant else model
    DecomposeAttention()(given)
    np.testing.assert_allclose(OnnxExecutor(given)(feeds)["y"], expected, atol=1e-6)


@pytest.mark.parametrize("name", ["boolean", "additive"])
def test_in_float16_too(name, model_from):
    mask = MASKS[name]
    model, feeds = model_from(graph_text(mask)), feeds_of(mask)
    expected = standard(model, feeds)
    DecomposeAttention()(model)
    ConvertFloat16()(model)
    narrow = {value.name: feeds[value.name].astype(value.dtype.numpy()) for value in model.graph.inputs}
    np.testing.assert_allclose(OnnxExecutor(model)(narrow)["y"].astype(np.float32), expected, atol=3e-3)


def test_rows_that_all_see_a_key_cost_nothing(model_from):
    model = model_from(graph_text(NO_ROW_HIDDEN), {"m": NO_ROW_HIDDEN})
    DecomposeAttention()(model)
    kinds = [node.op_type for node in model.graph]
    assert "ReduceMax" not in kinds
    assert "Where" not in kinds


def test_a_constant_mask_with_a_hidden_row_is_known_beforehand(model_from):
    model = model_from(graph_text(BOOLEAN), {"m": BOOLEAN})
    DecomposeAttention()(model)
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("Where") == 1
    assert "ReduceMax" not in kinds


@pytest.mark.parametrize("constant", [False, True], ids=["computed", "constant"])
@pytest.mark.parametrize("causal", [0, 1])
def test_large_scores_do_not_make_up_for_a_mask(causal, constant, model_from):
    model, feeds = model_from(graph_text(BOOLEAN, causal)), feeds_of(BOOLEAN)
    feeds |= {"q": feeds["q"] * 1e4, "k": feeds["k"] * 1e3}
    expected = standard(model, feeds)
    given = model_from(graph_text(BOOLEAN, causal), {"m": BOOLEAN}) if constant else model
    DecomposeAttention()(given)
    np.testing.assert_allclose(OnnxExecutor(given)(feeds)["y"], expected, atol=1e-6)
