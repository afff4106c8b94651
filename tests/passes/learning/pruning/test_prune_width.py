"""Choosing and removing channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.learning.pruning.dependencies import analyse
from passes.learning.pruning.plan import PlanOptions, operations, plan_widths, prunable
from passes.learning.pruning.prune_width import choose_channels, prune_width
from program.onnx_executor import OnnxExecutor
from program.program import Program


@pytest.fixture
def stack(model_from: Callable[..., ir.Model], component_of: Callable) -> Program:
    """Two feed-forward layers; half of the first one's channels do nothing."""
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((16, 16)).astype("f4") for name in ("a", "b", "c", "d")}
    weights["b"][:8] = 0
    model = model_from(
        "part (float[2, 16] x, float[16, 16] a, float[16, 16] b, float[16, 16] c, float[16, 16] d) "
        "=> (float[2, 16] y) <float[2, 16] p, float[2, 16] q, float[2, 16] r, float[2, 16] s, float[2, 16] t> "
        "{ p = MatMul(x, a) q = Relu(p) r = MatMul(q, b) s = MatMul(r, c) t = Relu(s) y = MatMul(t, d) }",
        weights,
    )
    return Program("generic", {"part": component_of(model)}, {}, {}, (), {})


def scores(stack: Program) -> dict[str, np.ndarray]:
    found = {group.name: np.linspace(2, 1, group.size) for group in analyse(stack).groups}
    found["a"] = np.r_[np.zeros(8), np.ones(8)]
    return found


def test_unimportant_channels_go_first_and_the_result_stays(stack: Program) -> None:
    x = {"x": np.random.default_rng(1).standard_normal((2, 16)).astype("f4")}
    expected = OnnxExecutor(stack.components["part"].model)(x)["y"]
    kept = choose_channels(analyse(stack), scores(stack), 0.75)
    assert kept == {"a": list(range(8, 16))}
    remarks = prune_width(stack, kept)
    assert [remark.numbers["operations_share"] for remark in remarks] == [0.75]
    np.testing.assert_allclose(OnnxExecutor(stack.components["part"].model)(x)["y"], expected, atol=1e-4)
    assert stack.components["part"].model.graph.initializers["a"].const_value.numpy().shape == (16, 8)


def test_plans_are_nested_and_reach_their_share(stack: Program) -> None:
    dependencies, options = analyse(stack), PlanOptions(granule=2)
    groups = prunable(dependencies, options)
    plans = plan_widths(dependencies, groups, scores(stack), [0.8, 0.5], options)
    total = operations(dependencies)
    assert [
        operations(dependencies, plan) / total <= share
        for plan, share in zip(plans, (0.8, 0.5), strict=False)
    ] == [
        True,
        True,
    ]
    assert all(plans[1][name] <= width for name, width in plans[0].items())


def test_a_share_out_of_reach_is_refused(stack: Program) -> None:
    with pytest.raises(PassError, match="cannot be pruned that far"):
        choose_channels(analyse(stack), scores(stack), 0.01)


def test_an_unknown_group_is_refused(stack: Program) -> None:
    with pytest.raises(PassError, match="no such groups"):
        prune_width(stack, {"nonsense": [0]})
