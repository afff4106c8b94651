"""Removing layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.learning.pruning.prune_depth import prune_depth
from passes.learning.pruning.residual import residual_branches
from passes.learning.pruning.similarity import block_influence
from program.onnx_executor import OnnxExecutor
from program.program import Program

_LAYERS = """part (float[1, 3, 4] x, float[4, 4] {0}, float[4, 4] {1}, float[4, 4] {2}) => (float[1, 3, 4] y)
<float[1, 3, 4] a, float[1, 3, 4] b, float[1, 3, 4] c, float[1, 3, 4] d, float[1, 3, 4] e>
{{ a = MatMul(x, {0}) b = Add(x, a) c = MatMul(b, {1}) d = Add(c, b) e = MatMul(d, {2}) y = Add(d, e) }}"""
NAMES = [f"layers.{index}.mlp.weight" for index in range(3)]


@pytest.fixture
def stack(model_from: Callable[..., ir.Model], component_of: Callable) -> Program:
    """Three residual layers of falling strength."""
    rng = np.random.default_rng(0)
    model = model_from(
        _LAYERS.format("w0", "w1", "w2"),
        {f"w{index}": (rng.standard_normal((4, 4)) / 3**index).astype("f4") for index in range(3)},
    )
    for index, name in enumerate(NAMES):
        model.graph.initializers[f"w{index}"].name = name
    return Program("generic", {"part": component_of(model)}, {}, {}, (), {})


def feed() -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(1).standard_normal((1, 3, 4)).astype("f4")}


def test_layers_are_found_and_ranked(stack: Program) -> None:
    influence = block_influence(stack, {"part": [feed()]})
    assert list(influence) == ["layers.0", "layers.1", "layers.2"]
    assert influence["layers.0"] > influence["layers.1"] > influence["layers.2"] > 0


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_removed_layer_equals_zero_weights(stack: Program, gone: int) -> None:
    masked = stack.components["part"].model.clone()
    weight = masked.graph.initializers[NAMES[gone]]
    weight.const_value = ir.tensor(np.zeros((4, 4), np.float32), name=weight.name)
    remarks = prune_depth(stack, [f"layers.{gone}"])
    assert [remark.node for remark in remarks] == [f"layers.{gone}"]
    model = stack.components["part"].model
    assert NAMES[gone] not in model.graph.initializers and len(list(model.graph)) <= 5
    np.testing.assert_allclose(OnnxExecutor(model)(feed())["y"], OnnxExecutor(masked)(feed())["y"], atol=1e-6)


def test_all_layers_but_one(stack: Program) -> None:
    prune_depth(stack, ["layers.0", "layers.2"])
    assert [node.op_type for node in stack.components["part"].model.graph][:2] == ["MatMul", "Add"]


def test_decoder_layer_goes_with_its_cache(qwen: Program, fresh: Callable, feeds_of: Callable) -> None:
    program = fresh(qwen)
    prune_depth(program, ["model.language_model.layers.1"])
    for name in ("prefill", "decode"):
        component = program.components[name]
        signature = {spec.name for spec in (*component.inputs, *component.outputs)}
        assert not signature & {"past_key_1", "past_value_1", "new_key_1", "new_value_1"}
        assert {"past_key_0", "new_value_2"} <= signature
        assert not any("layers.1." in key for key in component.model.graph.initializers if "language" in key)
        outputs = OnnxExecutor(component.model)(feeds_of(program, 1)[name][0])
        assert np.isfinite(outputs["logits"]).all()


def test_post_norm_and_convolutional_layers(bert: Program, residual_net: Program) -> None:
    assert [branch.layer for branch in residual_branches(bert.components["model"])] == [
        f"layers.{index}" for index in (0, 0, 1, 1, 2, 2)
    ]
    assert [branch.layer for branch in residual_branches(residual_net.components["model"])] == [
        f"blocks.{index}" for index in range(3)
    ]


def test_an_unknown_layer_is_refused(stack: Program) -> None:
    with pytest.raises(PassError, match="no such layers"):
        prune_depth(stack, ["layers.7"])
