"""Scores of channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from passes.learning.pruning.dependencies import analyse
from passes.learning.pruning.importance import activation_norm
from passes.learning.pruning.taylor import taylor
from program.onnx_executor import OnnxExecutor
from program.program import Program


@pytest.fixture
def small(model_from: Callable[..., ir.Model], component_of: Callable) -> Program:
    """x → W → Relu → V, with channel 1 of the hidden axis large and channel 2 dead."""
    rng = np.random.default_rng(0)
    first, second = rng.uniform(0.1, 0.5, (4, 6)).astype("f4"), rng.uniform(0.1, 0.5, (6, 3)).astype("f4")
    first[:, 1] *= 10
    second[2] = 0
    model = model_from(
        "part (float[2, 4] x, float[4, 6] w, float[6, 3] v) => (float[2, 3] y) "
        "<float[2, 6] a, float[2, 6] b> { a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }",
        {"w": first, "v": second},
    )
    return Program("generic", {"part": component_of(model)}, {}, {}, (), {})


def test_activation_norm_is_norm_times_weight(small: Program) -> None:
    feeds = {
        "part": [
            {"x": np.abs(np.random.default_rng(seed).standard_normal((2, 4))).astype("f4")} for seed in (0, 1)
        ]
    }
    scores = activation_norm(small, analyse(small), feeds)["w"]
    weights = small.components["part"].model.graph.initializers
    hidden = np.concatenate(
        [np.maximum(feed["x"] @ weights["w"].const_value.numpy(), 0) for feed in feeds["part"]]
    )
    expected = np.linalg.norm(hidden, axis=0) * np.abs(weights["v"].const_value.numpy()).sum(1)
    np.testing.assert_allclose(scores, expected / expected.sum(), rtol=1e-5)
    assert scores.argmax() == 1 and scores.argmin() == 2


def test_taylor_agrees_with_removing_the_channel(small: Program) -> None:
    x = np.abs(np.random.default_rng(0).standard_normal((2, 4))).astype("f4")
    scores = taylor(small, analyse(small), {"part": [{"x": x}]})["w"]
    assert scores.argmax() == 1 and scores[2] == 0
    y = OnnxExecutor(small.components["part"].model)({"x": x})["y"]
    w, v = (small.components["part"].model.graph.initializers[n].const_value.numpy() for n in "wv")
    hidden = np.maximum(x @ w, 0)
    # both weights of the channel are scaled: twice the derivative of the loss along the channel's contribution
    expected = [(2 * (y * np.outer(hidden[:, j], v[j])).mean()) ** 2 for j in range(6)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_heads_and_groups_of_a_decoder_are_scored(qwen: Program, feeds_of: Callable) -> None:
    dependencies = analyse(qwen)
    scores = activation_norm(qwen, dependencies, feeds_of(qwen, 1))
    assert scores.keys() == {group.name for group in dependencies.groups}
    assert all(scores[group.name].shape == (group.size,) for group in dependencies.groups)
    assert all((values > 0).all() for values in scores.values())
