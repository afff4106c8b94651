"""Masks of attention: what is added to the scores, and which rows see anything at all."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnx_ir as ir

from passes.core.rewrite import Builder, small_constant, static_shape
from passes.normalize.decompose.attention import AttentionShape, causal_bias, hidden_score
from program.program import Array

_READ_ELEMENTS = 1 << 24
"""Largest constant mask that is read."""

_WRITTEN_ELEMENTS = 1 << 16
"""Largest constant mask that is written in the type of the scores; a boolean one takes a quarter of the bytes."""


@dataclasses.dataclass(frozen=True)
class Mask:
    """What masks do to an attention.

    Attributes:
        bias: Added to the scores, broadcastable to [batch, heads, queries, keys]; None where nothing is masked.
        visible: Boolean, [..., queries, 1]: false for a row that sees no key, whose result is 0 by the standard. None
            where every row is known to see one.
    """

    bias: ir.Value | None = None
    visible: ir.Value | None = None


@dataclasses.dataclass(frozen=True)
class Rows:
    """Which keys come before which query.

    Attributes:
        shape: The sizes of the attention.
        past: Keys before the first query.
        causal: Hide every key after a query.
    """

    shape: AttentionShape
    past: int
    causal: bool

    @property
    def allowed(self) -> Array:
        """Boolean, [queries, keys]."""
        queries, keys = np.arange(self.shape.queries)[:, None], np.arange(self.shape.keys)[None, :]
        return keys <= queries + self.past if self.causal else np.ones((queries.size, keys.size), bool)


def combine_masks(
    build: Builder, node: ir.Node, mask: ir.Value | None, rows: Rows, dtype: ir.DataType
) -> Mask:
    """Combines the mask of an attention with the causal one.

    Args:
        build: Where the nodes go.
        node: The attention, for messages.
        mask: Boolean (true: visible) or additive; its last axis may be shorter than the keys, the rest is hidden.
        rows: Sizes, and whether later keys are hidden.
        dtype: Element type of the scores.
    """
    if mask is None:
        shape = rows.shape
        return Mask(causal_bias(build, shape.queries, shape.keys, rows.past, dtype) if rows.causal else None)
    values = small_constant(mask, _READ_ELEMENTS)
    if values is not None:
        return _constant_mask(build, _filled(values, rows.shape.keys), rows, dtype)
    mask = _padded(build, node, mask, rows.shape.keys)
    boolean = mask.dtype == ir.DataType.BOOL
    return _boolean_mask(build, mask, rows, dtype) if boolean else _additive_mask(build, mask, rows, dtype)


def _constant_mask(build: Builder, values: Array, rows: Rows, dtype: ir.DataType) -> Mask:
    allowed = rows.allowed & (values if values.dtype == np.bool_ else ~np.isneginf(values))
    seen: Array = np.any(allowed, axis=-1, keepdims=True)
    visible = None if seen.all() else build.constant(seen, "visible")
    if values.dtype == np.bool_ and allowed.size > _WRITTEN_ELEMENTS:
        return Mask(_bias_of(build, build.constant(allowed, "mask"), dtype), visible)
    added = 0.0 if values.dtype == np.bool_ else values.astype(np.float32)
    bias = np.where(allowed, added, hidden_score(dtype)).astype(dtype.numpy())
    return Mask(build.constant(bias, "mask"), visible)


def _boolean_mask(build: Builder, mask: ir.Value, rows: Rows, dtype: ir.DataType) -> Mask:
    if rows.causal:
        mask = build.op("And", mask, build.constant(rows.allowed, "causal"))
    # not from the bias, which a quantiser or a limit of masks may change
    seen = build.op("Cast", mask, dtype=dtype, to=int(dtype))
    return Mask(_bias_of(build, mask, dtype), _above(build, seen, 0.5, dtype))


def _additive_mask(build: Builder, mask: ir.Value, rows: Rows, dtype: ir.DataType) -> Mask:
    if rows.causal:
        hidden = build.scalar(-np.inf, dtype, "hidden")
        mask = build.op("Where", build.constant(rows.allowed, "causal"), mask, hidden, dtype=dtype)
    return Mask(mask, _above(build, mask, -np.inf, dtype))


def _bias_of(build: Builder, allowed: ir.Value, dtype: ir.DataType) -> ir.Value:
    zero, masked = build.scalar(0.0, dtype, "kept"), build.scalar(hidden_score(dtype), dtype, "masked")
    return build.op("Where", allowed, zero, masked, dtype=dtype)


def _above(build: Builder, values: ir.Value, limit: float, dtype: ir.DataType) -> ir.Value:
    """Whether the largest value of each row is above a limit."""
    largest = build.op("ReduceMax", values, build.integers([-1], "last"), keepdims=1)
    return build.op("Greater", largest, build.scalar(limit, dtype, "limit"), dtype=ir.DataType.BOOL)


def _filled(values: Array, keys: int) -> Array:
    """The mask with the keys it leaves out, which are hidden."""
    missing = [(0, 0)] * (values.ndim - 1) + [(0, keys - values.shape[-1])]
    return np.pad(values, missing, constant_values=False if values.dtype == np.bool_ else -np.inf)


def _padded(build: Builder, node: ir.Node, mask: ir.Value, keys: int) -> ir.Value:
    """The same for a mask that is computed."""
    shape = static_shape(mask, node)
    if shape[-1] == keys:
        return mask
    boolean = mask.dtype == ir.DataType.BOOL
    kind = (mask.dtype or ir.DataType.FLOAT).numpy()
    hidden = np.full((*shape[:-1], keys - shape[-1]), False if boolean else -np.inf, kind)
    return build.op("Concat", mask, build.constant(hidden, "hidden"), axis=-1, shape=(*shape[:-1], keys))
