"""Nested sub-networks: ordered channels, prefix layout, views of one weights file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from npuc.artifact.weights_file import write_weights
from passes.float.precision import PrecisionPolicy
from passes.learning.pruning.cut import cut
from passes.learning.pruning.dependencies import Kind, analyse
from passes.learning.pruning.lead_heads import lead_heads
from passes.learning.pruning.plan import PlanOptions, prunable
from passes.learning.subnetworks.nested import (
    Subnetwork,
    derive,
    lay_out,
    nested_groups,
    order_channels,
    plan_subnetworks,
    subnetwork_remarks,
)
from passes.pipeline import quantize
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from program.program import Program

OPTIONS = PlanOptions(granule=8)
SHARES = {"full": 1.0, "balanced": 0.75, "low_power": 0.5}


def scores(program: Program) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {group.name: rng.uniform(0.5, 1.5, group.size) for group in analyse(program).groups}


def run(program: Program, ids: np.ndarray) -> np.ndarray:
    return next(iter(OnnxExecutor(program.components["model"].model)({"ids": ids}).values()))


@pytest.fixture
def ids() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 50, (1, 12))


@pytest.fixture
def prepared(bert: Program, fresh: Callable[[Program], Program]) -> tuple[Program, list]:
    """Ordered and planned."""
    program = fresh(bert)
    dependencies, importance = analyse(program), scores(program)
    groups = nested_groups(dependencies, OPTIONS)
    subnetworks = plan_subnetworks(dependencies, groups, importance, SHARES, OPTIONS)
    order_channels(program, dependencies, groups, importance)
    return program, subnetworks


def test_ordering_and_layout_keep_the_function(bert: Program, prepared: tuple, ids: np.ndarray) -> None:
    program, subnetworks = prepared
    expected = run(bert, ids)
    np.testing.assert_allclose(run(program, ids), expected, atol=1e-5)
    lay_out(program, subnetworks)
    np.testing.assert_allclose(run(program, ids), expected, atol=1e-5)


def test_each_weight_is_narrowed_along_one_axis(residual_net: Program, bert: Program) -> None:
    for program in (residual_net, bert):
        dependencies = analyse(program)
        groups = nested_groups(dependencies, OPTIONS)
        matrices = [m.name for g in groups for m in g.members if len(dependencies.initializers[m.name]) > 1]
        assert groups and len(matrices) == len(set(matrices))
        assert all(group.kind in (Kind.FFN, Kind.HEADS, Kind.CONV) for group in groups)


@pytest.mark.parametrize("base", [Format.FLOAT32, Format.FLOAT16])
def test_a_subnetwork_is_the_cut_program_on_the_same_bytes(
    prepared: tuple, fresh: Callable, ids: np.ndarray, tmp_path: Path, base: Format
) -> None:
    program, subnetworks = prepared
    if base is Format.FLOAT16:
        quantize(program.components["model"], PrecisionPolicy(base=base, by_modality={}), {})
    smallest = subnetworks[-1]
    expected = fresh(program)
    dependencies = analyse(expected)
    kept = {
        g.dimension: np.arange(smallest.widths[g.name])
        for g in dependencies.groups
        if g.name in smallest.widths
    }
    cut(expected, dependencies, kept)

    before = write_weights(fresh(program).components, tmp_path)
    lay_out(program, subnetworks)
    size = write_weights(program.components, tmp_path)
    assert size <= 1.02 * before
    narrowed = derive(program, smallest)
    assert [(name, component.name) for name, component in narrowed.items()] == [("model", "model_low_power")]
    graph = narrowed["model"].model.graph
    views = {name: value for name, value in graph.initializers.items() if ":" in name}
    whole = program.components["model"].model.graph.initializers
    assert len(views) >= 9
    for name, value in views.items():
        original = whole[name.partition(":")[0]].const_value
        assert isinstance(value.const_value, ir.ExternalTensor)
        assert value.const_value.offset == original.offset
        assert value.const_value.nbytes < original.nbytes
    received = next(iter(OnnxExecutor(narrowed["model"].model)({"ids": ids}).values()))
    np.testing.assert_array_equal(received, run(expected, ids))


def test_the_full_network_has_no_graphs_of_its_own(prepared: tuple) -> None:
    program, subnetworks = prepared
    assert subnetworks[0].widths == {} and subnetworks[0].share == 1.0
    assert derive(program, subnetworks[0]) == {}


def test_shares_and_remarks(prepared: tuple) -> None:
    program, subnetworks = prepared
    assert [subnetwork.share <= share for subnetwork, share in zip(subnetworks, SHARES.values(), strict=True)]
    assert subnetworks[1].share > subnetworks[2].share
    groups = nested_groups(analyse(program), OPTIONS)
    remarks = subnetwork_remarks(subnetworks, groups)
    assert len(remarks) == len(groups) * 3
    assert all(remark.numbers["width"] <= remark.numbers["size"] for remark in remarks)


def test_the_cache_of_a_decoder_is_left_alone(qwen: Program) -> None:
    dependencies = analyse(qwen)
    assert not any(group.cached for group in nested_groups(dependencies, PlanOptions()))
    assert any(group.kind is Kind.FFN for group in nested_groups(dependencies, PlanOptions()))


def test_fewer_query_heads_read_the_first_bytes_and_leave_the_cache(
    qwen: Program, fresh: Callable, tmp_path: Path
) -> None:
    program = fresh(qwen)
    options = PlanOptions(kinds=(Kind.HEADS,), least=0.25)
    assert lead_heads(program, analyse(program), prunable(analyse(program), options))
    dependencies = analyse(program)
    groups = nested_groups(dependencies, options)
    names = [group.name for group in groups]
    assert sum("q_proj" in name for name in names) == 3 and sum("attn.qkv" in name for name in names) == 3
    small = Subnetwork("small", {group.name: 1 for group in groups}, 0.5)
    lay_out(program, [small])
    write_weights(program.components, tmp_path)
    decode = derive(program, small)["decode"].model.graph
    view = next(value for name, value in decode.initializers.items() if "layers.0.self_attn.q_proj" in name)
    whole = program.components["decode"].model.graph.initializers[view.name.partition(":")[0]].const_value
    assert (view.const_value.offset, 2 * view.const_value.nbytes) == (whole.offset, whole.nbytes)
    cached = {value.name: value.shape for value in decode.inputs if value.name.startswith("past_")}
    expected = program.components["decode"].model.graph.inputs
    assert cached == {value.name: value.shape for value in expected if value.name.startswith("past_")}
