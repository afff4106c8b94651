"""Writes the Attention operator of opset 23 as MatMul and Softmax."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.properties import AXES, without
from passes.core.rewrite import (
    Builder,
    Rewrite,
    input_at,
    integer,
    is_op,
    number,
    required_input,
    static_shape,
)
from passes.normalize.decompose.attention import AttentionMath, AttentionShape, attend
from passes.normalize.decompose.attention_mask import Rows, combine_masks


class DecomposeAttention(Rewrite):
    """ai.onnx Attention → MatMul, Softmax, MatMul, with grouped heads, masks, cache, scale and softcap.

    Takes 4-D inputs [batch, heads, rows, size] and 3-D ones [batch, rows, heads · size]. A boolean mask
    becomes an additive one; rows that it hides completely give zeros. Past keys and values are put in front;
    they come out as `present_*`.
    """

    needs = (AXES,)
    gives = (without("Attention"),)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Attention.

        Raises:
            PassError: The scores themselves are an output, or the valid key length is an input.
        """
        if not is_op(node, "Attention"):
            return False
        _refuse(node)
        build = Builder(graph, node)
        q_heads, kv_heads = integer(node, "q_num_heads", 0), integer(node, "kv_num_heads", 0)
        query, q_shape = _four(build, node, 0, q_heads)
        key, k_shape = _four(build, node, 1, kv_heads)
        value, v_shape = _four(build, node, 2, kv_heads)
        past = input_at(node, 4)
        past_rows = 0 if past is None else static_shape(past, node)[2]
        key = _append(build, past, key)
        value = _append(build, input_at(node, 5), value)
        batch, heads, queries, size = q_shape
        keys = k_shape[2] + past_rows
        shape = AttentionShape(batch, heads, k_shape[1], queries, keys, size, v_shape[3])
        rows = Rows(shape, past_rows, causal=bool(integer(node, "is_causal", 0)))
        mask = combine_masks(build, node, input_at(node, 3), rows, query.dtype or ir.DataType.FLOAT)
        result = attend(build, query, key, value, mask.bias, shape, _math(node, size))
        if mask.visible is not None:
            nothing = build.scalar(0.0, result.dtype or ir.DataType.FLOAT, "nothing")
            extents = (batch, heads, queries, shape.value_size)
            result = build.op("Where", mask.visible, result, nothing, dtype=result.dtype, shape=extents)
        if len(static_shape(required_input(node, 0), node)) == 3:
            swapped = build.transpose(result, (0, 2, 1, 3), (batch, heads, queries, shape.value_size))
            result = build.reshape(swapped, (batch, queries, heads * shape.value_size))
        _finish(build, node, result, key, value)
        return True


def _refuse(node: ir.Node) -> None:
    used = [output for output in node.outputs[3:] if output.uses() or output.is_graph_output()]
    if used or input_at(node, 6) is not None:
        raise PassError(
            "Attention with an output for the scores, or with a valid key length, is not supported",
            where=node.name or node.op_type,
            received="output qk_matmul_output" if used else "input nonpad_kv_seqlen",
            remedy="export the model with an explicit mask and without the scores",
        )


def _math(node: ir.Node, size: int) -> AttentionMath:
    stash = integer(node, "softmax_precision", 0)
    return AttentionMath(
        scale=number(node, "scale", 1 / math.sqrt(size)),
        softcap=number(node, "softcap", 0.0),
        stash=ir.DataType(stash) if stash else None,
    )


def _four(
    build: Builder, node: ir.Node, index: int, heads: int
) -> tuple[ir.Value, tuple[int, int, int, int]]:
    """Returns query, key or value as [batch, heads, rows, size], with that shape."""
    value = required_input(node, index)
    shape = static_shape(value, node)
    if len(shape) == 4:
        return value, (shape[0], shape[1], shape[2], shape[3])
    if not heads:
        raise PassError(
            "Attention of 3-D inputs lacks q_num_heads or kv_num_heads",
            where=node.name or node.op_type,
            remedy="export the operator with both attributes",
        )
    batch, rows, width = shape
    parts = build.reshape(value, (batch, rows, heads, width // heads))
    moved = build.transpose(parts, (0, 2, 1, 3), (batch, rows, heads, width // heads))
    return moved, (batch, heads, rows, width // heads)


def _append(build: Builder, past: ir.Value | None, new: ir.Value) -> ir.Value:
    return new if past is None else build.op("Concat", past, new, axis=2)


def _finish(build: Builder, node: ir.Node, result: ir.Value, key: ir.Value, value: ir.Value) -> None:
    """Connects the outputs; an Identity keeps present keys apart from a graph input of the same value."""
    presents = [
        build.op("Identity", present) if output.uses() or output.is_graph_output() else None
        for output, present in zip(node.outputs[1:3], (key, value), strict=False)
    ]
    build.replace_anchor(result, *presents)
