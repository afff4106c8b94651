"""What narrowing each group alone costs, and widths chosen by it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from passes.learning.pruning.dependencies import analyse
from passes.learning.pruning.plan import PlanOptions
from passes.learning.subnetworks.nested import plan_subnetworks
from passes.learning.subnetworks.sensitivity import measure_loss
from passes.learning.training.recording import Call, Recording
from passes.learning.training.self_distillation import learned_together
from program.onnx_executor import OnnxExecutor
from program.program import Program

OPTIONS = PlanOptions(granule=4, least=0.25)


@pytest.fixture
def stack(model_from: Callable[..., ir.Model], component_of: Callable) -> Program:
    """Two feed-forward layers of 16 channels; the last 12 of the second one do nothing."""
    rng = np.random.default_rng(0)
    weights = {name: (rng.standard_normal((16, 16)) / 4).astype("f4") for name in ("a", "b", "c", "d")}
    weights["d"][4:] = 0
    model = model_from(
        "part (float[2, 16] x, float[16, 16] a, float[16, 16] b, float[16, 16] c, float[16, 16] d) "
        "=> (float[2, 16] y) <float[2, 16] p, float[2, 16] q, float[2, 16] r, float[2, 16] s, float[2, 16] t> "
        "{ p = MatMul(x, a) q = Relu(p) r = MatMul(q, b) s = MatMul(r, c) t = Relu(s) y = MatMul(t, d) }",
        weights,
    )
    return Program("generic", {"part": component_of(model)}, {}, {}, (), {})


def recordings(program: Program, count: int = 6) -> list[Recording]:
    executor = OnnxExecutor(program.components["part"].model)
    feeds = [
        {"x": np.random.default_rng(seed).standard_normal((2, 16)).astype("f4")} for seed in range(count)
    ]
    return [(Call("part", feed, executor(feed), {}),) for feed in feeds]


def test_idle_channels_cost_nothing_and_widths_follow(stack: Program) -> None:
    dependencies = analyse(stack)
    groups = [group for group in dependencies.groups if group.name in ("a", "c")]
    busy, idle = groups
    loss = measure_loss(stack, dependencies, groups, recordings(stack), OPTIONS)
    assert loss(busy, 16) == loss(idle, 16) == 0.0
    assert loss(idle, 4) < 1e-9
    assert 0.01 < loss(busy, 12) <= loss(busy, 8) <= loss(busy, 4)
    (small,) = plan_subnetworks(dependencies, groups, loss, {"small": 0.7}, OPTIONS)
    assert small.widths == {"c": 4}


def test_neighbours_that_begin_alike_are_learned_together() -> None:
    call = Call("part", {}, {}, {})
    keys = (b"a", b"a", b"b", b"", b"")
    made = [(dataclasses.replace(call, key=key),) for key in keys]
    assert [len(group) for group in learned_together(made)] == [2, 1, 1, 1]
