"""Training a network and its sub-networks together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest
import torch

from passes.learning.pruning.cut import cut
from passes.learning.pruning.dependencies import Dependencies, analyse
from passes.learning.subnetworks.nested import Subnetwork, narrow, order_channels
from passes.learning.subnetworks.own_vectors import OwnVectors
from passes.learning.subnetworks.train import (
    NestedProgram,
    SubnetworkOptions,
    sandwich_losses,
    subnetwork_training_remark,
    train_subnetworks,
)
from passes.learning.training.recording import Call, Recording
from program.onnx_executor import OnnxExecutor
from program.program import Program

SMALL = {"a": 4, "c": 4}


@pytest.fixture
def stack(model_from: Callable[..., ir.Model], component_of: Callable) -> Program:
    """Two feed-forward layers of 16 channels."""
    rng = np.random.default_rng(0)
    weights = {name: (rng.standard_normal((16, 16)) / 4).astype("f4") for name in ("a", "b", "c", "d")}
    model = model_from(
        "part (float[2, 16] x, float[16, 16] a, float[16, 16] b, float[16, 16] c, float[16, 16] d) "
        "=> (float[2, 16] y) <float[2, 16] p, float[2, 16] q, float[2, 16] r, float[2, 16] s, float[2, 16] t> "
        "{ p = MatMul(x, a) q = Relu(p) r = MatMul(q, b) s = MatMul(r, c) t = Relu(s) y = MatMul(t, d) }",
        weights,
    )
    return Program("generic", {"part": component_of(model)}, {}, {}, (), {})


def recordings(program: Program, count: int = 32) -> list[Recording]:
    executor = OnnxExecutor(program.components["part"].model)
    feeds = [
        {"x": np.random.default_rng(seed).standard_normal((2, 16)).astype("f4")} for seed in range(count)
    ]
    return [(Call("part", feed, executor(feed), {}),) for feed in feeds]


def kept(dependencies: Dependencies) -> dict[int, np.ndarray]:
    groups = [group for group in dependencies.groups if group.name in SMALL]
    return {group.dimension: np.arange(SMALL[group.name]) for group in groups}


def small_error(program: Program, subnetwork: Subnetwork, made: list[Recording]) -> float:
    """Relative error of a sub-network against what was recorded."""
    narrow(program, subnetwork)
    executor = OnnxExecutor(program.components["part"].model)
    pairs = [(executor(call.feeds)["y"], call.outputs["y"]) for (call,) in made]
    return float(sum(((y - t) ** 2).sum() for y, t in pairs) / sum((t**2).sum() for _, t in pairs))


def test_silenced_channels_equal_cut_ones(stack: Program, fresh: Callable) -> None:
    made = recordings(stack, 3)
    module = NestedProgram(stack, analyse(stack))
    with torch.no_grad():
        received = module(made, SMALL)["part"].outputs["y"].numpy()
        whole = module(made, {})["part"].outputs["y"].numpy()
    small = fresh(stack)
    dependencies = analyse(small)
    cut(small, dependencies, kept(dependencies))
    executor = OnnxExecutor(small.components["part"].model)
    for row, (call,) in enumerate(made):
        np.testing.assert_allclose(received[row], executor(call.feeds)["y"], atol=1e-5)
        np.testing.assert_allclose(whole[row], call.outputs["y"], atol=1e-5)


def test_hidden_outputs_count_as_much_as_is_said(stack: Program) -> None:
    made, dependencies = recordings(stack, 3), analyse(stack)
    module = NestedProgram(stack, dependencies)
    subnetworks = [Subnetwork("full", {}, 1.0), Subnetwork("small", SMALL, 0.25)]
    vectors = OwnVectors(stack, module.program, dependencies, subnetworks)
    once, often = (sandwich_losses(module, vectors, subnetworks, made, weight) for weight in (1.0, 20.0))
    assert once.keys() == often.keys() == {"hidden"}
    assert float(once["hidden"]) > 0
    assert float(often["hidden"]) == pytest.approx(20 * float(once["hidden"]))


def test_answers_count_once(stack: Program) -> None:
    (output,) = stack.components["part"].model.graph.outputs
    output.name = "logits"
    made, dependencies = recordings(stack, 3), analyse(stack)
    module = NestedProgram(stack, dependencies)
    subnetworks = [Subnetwork("full", {}, 1.0), Subnetwork("small", SMALL, 0.25)]
    vectors = OwnVectors(stack, module.program, dependencies, subnetworks)
    once, often = (sandwich_losses(module, vectors, subnetworks, made, weight) for weight in (1.0, 20.0))
    assert float(often["logits"]) == float(once["logits"]) > 0


def test_training_helps_the_smallest_and_repeats(stack: Program, fresh: Callable) -> None:
    made = recordings(stack)
    dependencies = analyse(stack)
    dependencies = order_channels(
        stack, dependencies, dependencies.groups, {g.name: np.arange(16.0) for g in dependencies.groups}
    )
    subnetworks = [Subnetwork("full", {}, 1.0), Subnetwork("small", SMALL, 0.25)]
    before = small_error(fresh(stack), subnetworks[1], made)
    options = SubnetworkOptions(steps=60, learning_rate=1e-2, batch_size=8)
    copies = [fresh(stack), fresh(stack)]
    results = [train_subnetworks(copy, analyse(copy), subnetworks, made, options) for copy in copies]
    curves = [curve for curve, _ in results]
    assert [point.loss for point in curves[0].points] == [point.loss for point in curves[1].points]
    remark = subnetwork_training_remark(curves[0], options)
    assert remark.numbers["loss_last"] < remark.numbers["loss_first"]
    assert small_error(copies[0], results[0][1][1], made) < 0.8 * before
