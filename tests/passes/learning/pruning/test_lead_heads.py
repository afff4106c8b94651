"""Heads inside groups come first in their weights; the program computes what it did."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from passes.learning.pruning.dependencies import Kind, analyse
from passes.learning.pruning.lead_heads import lead_heads, leads
from passes.learning.pruning.plan import PlanOptions, prunable
from program.onnx_executor import OnnxExecutor
from program.program import Program

QUERY = "model.language_model.layers.0.self_attn.q_proj.weight.transposed"
VISION = "model.visual.blocks.0.attn.qkv.weight.transposed"


def lead(program: Program, options: PlanOptions | None = None) -> list[str]:
    dependencies = analyse(program)
    return [
        group.name
        for group in lead_heads(program, dependencies, prunable(dependencies, options or PlanOptions()))
    ]


@pytest.fixture
def led(qwen: Program, fresh: Callable) -> Program:
    program = fresh(qwen)
    assert {f"{QUERY}.1", f"{VISION}.1"} <= set(lead(program))
    return program


def test_the_program_computes_what_it_did(qwen: Program, led: Program, feeds_of: Callable) -> None:
    for name, (feeds,) in feeds_of(qwen, 1).items():
        expected, received = (OnnxExecutor(p.components[name].model)(feeds) for p in (qwen, led))
        for key, values in expected.items():
            np.testing.assert_allclose(received[key], values, atol=1e-5, err_msg=f"{name} {key}")


def test_query_heads_lead_and_the_cache_keeps_its_heads(led: Program) -> None:
    groups = {group.name: group for group in analyse(led).groups}
    dependencies = analyse(led)
    inner, whole = groups[f"{QUERY}.0"], groups[f"{QUERY}.1"]
    assert (inner.kind, inner.size, inner.cached) == (Kind.HEADS, 2, False)
    assert whole.cached
    assert all(leads(dependencies, g) for g in dependencies.groups if g.name in (f"{QUERY}.0", f"{VISION}.0"))


def test_fewer_query_heads_equal_silenced_ones(led: Program, equals_masked: Callable) -> None:
    dependencies = analyse(led)
    kept = {
        group.dimension: np.arange(group.size // 2)
        for group in dependencies.groups
        if group.kind is Kind.HEADS and leads(dependencies, group) and not group.cached
    }
    assert len(kept) == 6
    equals_masked(led, dependencies, kept)


def test_doing_it_twice_changes_nothing(led: Program) -> None:
    before = {name: len(component.model.graph) for name, component in led.components.items()}
    assert lead(led) == []
    assert {name: len(component.model.graph) for name, component in led.components.items()} == before


def test_whole_groups_lead_already_where_the_cache_may_shrink(qwen: Program, fresh: Callable) -> None:
    moved = lead(fresh(qwen), PlanOptions(keep_cache=False))
    assert f"{VISION}.1" in moved and not any("q_proj" in name for name in moved)


def test_a_weight_that_is_read_twice_stays(qwen: Program, fresh: Callable) -> None:
    program = fresh(qwen)
    graph = program.components["decode"].model.graph
    weight = graph.initializers[QUERY]
    output = ir.Value(name="again", type=weight.type, shape=weight.shape)
    graph.append(ir.Node("", "Identity", [weight], outputs=[output]))
    graph.outputs.append(output)
    assert f"{QUERY}.1" not in lead(program)
