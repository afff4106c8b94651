"""Writes the static-shape subset of com.microsoft GroupQueryAttention as MatMul and Softmax."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.properties import SHAPES, without
from passes.core.rewrite import (
    Builder,
    Rewrite,
    input_at,
    integer,
    is_op,
    number,
    required_input,
    small_constant,
    static_shape,
)
from passes.normalize.decompose.attention import AttentionMath, AttentionShape, attend, causal_bias
from passes.normalize.decompose.rotary import Rotation, rotate

_NEUTRAL = {"local_window_size": -1.0, "smooth_softmax": 0.0, "kv_cache_bit_width": 0.0, "qk_output": 0.0}
"""Attributes that must have the value at which they do nothing."""


class DecomposeGroupQueryAttention(Rewrite):
    """GroupQueryAttention with static lengths → rotation, causal MatMul, Softmax, MatMul.

    Supported: separate query, key and value; a cache that is full (`seqlens_k` a constant equal to
    past + new - 1, or no cache at all); rotary embedding; softcap. Everything else is refused by name.
    """

    needs = (SHAPES,)
    gives = (without("GroupQueryAttention", domain="com.microsoft"),)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one GroupQueryAttention.

        Raises:
            PassError: Beyond the supported subset.
        """
        if not is_op(node, "GroupQueryAttention", domain="com.microsoft"):
            return False
        _refuse(node)
        build = Builder(graph, node)
        heads, key_heads = integer(node, "num_heads", 0), integer(node, "kv_num_heads", 0)
        query, q_shape = _heads(build, node, 0, heads)
        key, k_shape = _heads(build, node, 1, key_heads)
        value, _ = _heads(build, node, 2, key_heads)
        past_key, past_value = input_at(node, 3), input_at(node, 4)
        past = 0 if past_key is None else static_shape(past_key, node)[2]
        _check_lengths(node, past + k_shape[2])
        if integer(node, "do_rotary", 0):
            query = _rotated(build, node, query, q_shape, past)
            key = _rotated(build, node, key, k_shape, past)
        key = key if past_key is None else build.op("Concat", past_key, key, axis=2)
        value = value if past_value is None else build.op("Concat", past_value, value, axis=2)
        batch, _, rows, size = q_shape
        shape = AttentionShape(batch, heads, key_heads, rows, past + k_shape[2], size, size)
        bias = causal_bias(build, rows, shape.keys, past, query.dtype or ir.DataType.FLOAT)
        scale = number(node, "scale", 0.0) or 1 / math.sqrt(size)
        numbers = AttentionMath(scale, number(node, "softcap", 0.0))
        mixed = attend(build, query, key, value, bias, shape, numbers)
        merged = build.reshape(build.transpose(mixed, (0, 2, 1, 3), q_shape), (batch, rows, heads * size))
        build.replace_anchor(merged, build.op("Identity", key), build.op("Identity", value))
        return True


def _refuse(node: ir.Node) -> None:
    for name, neutral in _NEUTRAL.items():
        attribute = node.attributes.get(name)
        if attribute is not None and float(attribute.value) != neutral:
            raise _unsupported(node, f"{name}={attribute.value}", f"export it with {name}={neutral:g}")
    extra = [index for index in range(9, len(node.inputs)) if node.inputs[index] is not None]
    if extra:
        raise _unsupported(
            node, f"input {extra[0]}", "export it without position ids, bias, sinks and cache scales"
        )
    if input_at(node, 1) is None or input_at(node, 2) is None:
        raise _unsupported(node, "packed query, key and value", "export it with separate inputs")


def _check_lengths(node: ir.Node, total: int) -> None:
    """Refuses a cache whose valid length is not known here: it needs an explicit mask instead."""
    lengths = small_constant(input_at(node, 5))
    if lengths is None or not np.all(lengths == total - 1):
        received = (
            "a computed seqlens_k" if lengths is None else f"seqlens_k={lengths.tolist()}, rows {total}"
        )
        raise _unsupported(node, received, "export the attention with an explicit mask over a static cache")


def _unsupported(node: ir.Node, received: str, remedy: str) -> PassError:
    where = node.name or node.op_type
    return PassError(
        "this form of GroupQueryAttention is not supported", where=where, received=received, remedy=remedy
    )


def _heads(
    build: Builder, node: ir.Node, index: int, heads: int
) -> tuple[ir.Value, tuple[int, int, int, int]]:
    value = required_input(node, index)
    batch, rows, width = static_shape(value, node)
    size = width // heads
    parts = build.reshape(value, (batch, rows, heads, size))
    return build.transpose(parts, (0, 2, 1, 3), (batch, rows, heads, size)), (batch, heads, rows, size)


def _rotated(
    build: Builder, node: ir.Node, x: ir.Value, shape: tuple[int, int, int, int], past: int
) -> ir.Value:
    """Rotates heads whose first row is at position `past`."""
    tables = [required_input(node, index) for index in (7, 8)]
    half, rows = static_shape(tables[0], node)[-1], shape[2]
    positions = build.integers(range(past, past + rows), "positions")
    cos, sin = (
        build.reshape(build.op("Gather", table, positions, axis=0), (1, 1, rows, half)) for table in tables
    )
    return rotate(build, x, shape, cos, sin, Rotation(2 * half, bool(integer(node, "rotary_interleaved", 0))))
