"""Which channels are found to depend on each other."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from passes.learning.pruning.dependencies import Kind, analyse
from program.program import Program


def test_grouped_query_attention_has_groups_and_heads_inside_them(qwen: Program) -> None:
    groups = {group.name: group for group in analyse(qwen).groups}
    stem = "model.language_model.layers.0.self_attn.q_proj.weight.transposed"
    whole, inner = groups[f"{stem}.0"], groups[f"{stem}.1"]
    assert (whole.kind, whole.size, whole.cached) == (Kind.HEADS, 2, True)
    assert (inner.kind, inner.size, inner.cached) == (Kind.HEADS, 2, False)
    projections = {member.name.split(".")[5] for member in whole.members}
    assert projections == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert {member.name.split(".")[5] for member in inner.members} == {"q_proj", "o_proj"}


def test_rotary_channels_and_norms_inside_heads_stay(qwen: Program) -> None:
    norms = ["q_norm", "k_norm"]
    members = {member.name for group in analyse(qwen).groups for member in group.members}
    assert not any(norm in name for norm in norms for name in members)


def test_hidden_size_runs_through_tied_head_and_deepstack(qwen: Program) -> None:
    tie = [("embedding", "embeddings"), ("prefill", "inputs_embeds"), ("decode", "inputs_embeds")]
    hidden = {group.name: group for group in analyse(qwen, [tie]).groups if group.kind is Kind.HIDDEN}
    group = next(group for group in hidden.values() if group.interface)
    names = {member.name for member in group.members}
    assert "model.language_model.embed_tokens.weight" in names
    assert "model.visual.deepstack_merger_list.0.linear_fc2.weight.transposed" in names


def test_without_a_tie_the_runner_s_tensors_keep_their_shape(qwen: Program) -> None:
    hidden = [group for group in analyse(qwen).groups if group.kind is Kind.HIDDEN]
    assert not any("language_model" in member.name for group in hidden for member in group.members)


def test_gate_up_and_down_go_together(demo: Program) -> None:
    group = next(group for group in analyse(demo).groups if group.kind is Kind.FFN)
    assert [member.name.split(".mlp.")[1] for member in group.members] == [
        "down.weight.transposed",
        "gate.bias",
        "gate.weight.transposed",
        "up.bias",
        "up.weight.transposed",
    ]
    assert [member.axis for member in group.members] == [0, 0, 1, 0, 1]


def test_fused_projection_is_cut_in_all_its_parts(qwen: Program) -> None:
    group = next(g for g in analyse(qwen).groups if "visual.blocks.0.attn.qkv" in g.name)
    assert (group.kind, group.size) == (Kind.HEADS, 2)


def test_an_unknown_operator_stops_pruning_around_it(
    model_from: Callable[..., ir.Model], component_of: Callable
) -> None:
    import numpy as np

    text = "part (float[1, 4] x) => (float[1, 3] y) { a = MatMul(x, w) b = {op}(a) y = MatMul(b, v) }"
    weights = {"w": np.ones((4, 8), np.float32), "v": np.ones((8, 3), np.float32)}
    counts = {}
    for op in ("Relu", "CumSum"):
        body = text.replace("{op}(a)", "CumSum(a, k)" if op == "CumSum" else "Relu(a)")
        names = "float[4, 8] w, float[8, 3] v" + (", int64 k" if op == "CumSum" else "")
        arrays = weights | ({"k": np.array(1)} if op == "CumSum" else {})
        model = model_from(body.replace("float[1, 4] x", f"float[1, 4] x, {names}"), arrays)
        for value, shape in (("a", [1, 8]), ("b", [1, 8])):
            made = next(v for node in model.graph for v in node.outputs if v.name == value)
            made.shape, made.type = ir.Shape(shape), ir.TensorType(ir.DataType.FLOAT)
        program = Program("generic", {"part": component_of(model)}, {}, {}, (), {})
        counts[op] = len(analyse(program).groups)
    assert counts == {"Relu": 1, "CumSum": 0}
