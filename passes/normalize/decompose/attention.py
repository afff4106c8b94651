"""Scaled dot-product attention with grouped heads in elementary operators."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import COMPUTE_KEY, Builder

MASKED = -1e4
"""Where scores are added up in float16, masks are limited to this: exp(-1e4) is 0, and a sum with it stays finite."""


def hidden_score(dtype: ir.DataType) -> float:
    """What is added to a score that must not count: finite, and so far below 0 that no score makes up for it."""
    return -65504.0 if dtype == ir.DataType.FLOAT16 else -1e30


@dataclasses.dataclass(frozen=True)
class AttentionShape:
    """Sizes of one attention.

    Attributes:
        batch: Batch size.
        heads: Query heads, a multiple of `key_heads`; query head h uses key head h // (heads / key_heads).
        key_heads: Key and value heads.
        queries: Rows of the query.
        keys: Rows of key and value, those from the cache included.
        size: Elements of a query and key head.
        value_size: Elements of a value head.
    """

    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    size: int
    value_size: int


@dataclasses.dataclass(frozen=True)
class AttentionMath:
    """What is computed besides softmax(q·kᵀ)·v.

    Attributes:
        scale: Factor on the scores.
        softcap: Scores become softcap · tanh(score / softcap); 0 leaves them alone.
        stash: Element type of the softmax.
    """

    scale: float
    softcap: float = 0.0
    stash: ir.DataType | None = None


def attend(
    build: Builder,
    query: ir.Value,
    key: ir.Value,
    value: ir.Value,
    bias: ir.Value | None,
    shape: AttentionShape,
    math: AttentionMath,
) -> ir.Value:
    """Computes softmax(scale · q·kᵀ + bias)·v.

    Query heads that share a key head become rows of one MatMul, so that key and value are never repeated.
    The query is scaled, not the scores: it is smaller, and float16 scores do not overflow before the scaling.

    Args:
        build: Where the nodes go.
        query: [batch, heads, queries, size].
        key: [batch, key_heads, keys, size].
        value: [batch, key_heads, keys, value_size].
        bias: Added to the scores, broadcastable to [batch, heads, queries, keys].
        shape: The sizes.
        math: Scale, softcap and softmax type.

    Returns:
        [batch, heads, queries, value_size].
    """
    dtype = query.dtype or ir.DataType.FLOAT
    rows = shape.heads // shape.key_heads * shape.queries
    scaled = build.op("Mul", query, build.scalar(math.scale, dtype, "scale"))
    grouped = build.reshape(scaled, (shape.batch, shape.key_heads, rows, shape.size))
    key_shape = (shape.batch, shape.key_heads, shape.keys, shape.size)
    scores = build.op("MatMul", grouped, build.transpose(key, (0, 1, 3, 2), key_shape))
    scores = build.reshape(scores, (shape.batch, shape.heads, shape.queries, shape.keys))
    scores = _soft_cap(build, scores, math.softcap, dtype) if math.softcap else scores
    scores = scores if bias is None else build.op("Add", scores, bias)
    weights = _softmax(build, scores, dtype, math.stash)
    weights = build.reshape(weights, (shape.batch, shape.key_heads, rows, shape.keys))
    mixed = build.op("MatMul", weights, value)
    return build.reshape(mixed, (shape.batch, shape.heads, shape.queries, shape.value_size))


def causal_bias(build: Builder, queries: int, keys: int, past: int, dtype: ir.DataType) -> ir.Value:
    """Returns the constant [queries, keys] that hides every key after a query; `past` keys come before query 0."""
    hidden = np.arange(keys)[None, :] > np.arange(queries)[:, None] + past
    return build.constant(np.where(hidden, hidden_score(dtype), 0.0).astype(dtype.numpy()), "causal")


def _soft_cap(build: Builder, scores: ir.Value, softcap: float, dtype: ir.DataType) -> ir.Value:
    cap = build.scalar(softcap, dtype, "softcap")
    return build.op("Mul", build.op("Tanh", build.op("Div", scores, cap)), cap)


def _softmax(build: Builder, scores: ir.Value, dtype: ir.DataType, stash: ir.DataType | None) -> ir.Value:
    if stash is None or stash == dtype:
        tags = {COMPUTE_KEY: "float32"} if stash == ir.DataType.FLOAT else {}
        return build.op("Softmax", scores, axis=-1, metadata=tags)
    wide = build.op("Cast", scores, dtype=stash, to=int(stash))
    return build.op("Cast", build.op("Softmax", wide, axis=-1), dtype=dtype, to=int(dtype))
