"""Writes RotaryEmbedding (ai.onnx 23 and com.microsoft) as elementary operators."""

from __future__ import annotations

import math

import onnx_ir as ir

from passes.core.errors import PassError
from passes.core.properties import without
from passes.core.rewrite import Builder, Rewrite, input_at, integer, is_op, required_input, static_shape
from passes.normalize.decompose.rotary import Rotation, rotate

MICROSOFT = "com.microsoft"


class DecomposeRotaryEmbedding(Rewrite):
    """RotaryEmbedding → Gather of cosines and sines, Slice, Mul, Add, Concat.

    Both operators take [batch, heads, sequence, head_size] or [batch, sequence, heads · head_size].
    """

    gives = (
        without("RotaryEmbedding"),
        without("RotaryEmbedding", domain="com.microsoft"),
    )

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one RotaryEmbedding.

        Raises:
            PassError: An attribute asks for something beyond the rotation itself.
        """
        microsoft = is_op(node, "RotaryEmbedding", domain=MICROSOFT)
        if not (microsoft or is_op(node, "RotaryEmbedding")):
            return False
        _refuse_extensions(node)
        x = required_input(node, 0)
        if microsoft:
            positions, cos, sin = input_at(node, 1), required_input(node, 2), required_input(node, 3)
        else:
            cos, sin, positions = required_input(node, 1), required_input(node, 2), input_at(node, 3)
        shape = static_shape(x, node)
        heads = shape[1] if len(shape) == 4 else integer(node, "num_heads", 0)
        cos_shape = static_shape(cos, node)
        if not heads and microsoft:  # the cache then covers the whole head
            heads = shape[-1] // (2 * cos_shape[-1])
        size = shape[-1] if len(shape) == 4 else shape[2] // heads
        sequence = shape[2] if len(shape) == 4 else shape[1]
        dimension = integer(node, "rotary_embedding_dim", 0) or size
        build = Builder(graph, node)
        four = (shape[0], heads, sequence, size)
        split = x if len(shape) == 4 else _split_heads(build, x, four)
        angles = [_angles(build, table, positions, node, four) for table in (cos, sin)]
        rotation = Rotation(dimension, bool(integer(node, "interleaved", 0)))
        rotated = rotate(build, split, four, angles[0], angles[1], rotation)
        if len(shape) == 3:
            swapped = build.transpose(rotated, (0, 2, 1, 3), four)
            rotated = build.reshape(swapped, shape)
        build.replace_anchor(rotated)
        return True


def _split_heads(build: Builder, x: ir.Value, shape: tuple[int, int, int, int]) -> ir.Value:
    batch, heads, sequence, size = shape
    parts = build.reshape(x, (batch, sequence, heads, size))
    return build.transpose(parts, (0, 2, 1, 3), (batch, sequence, heads, size))


def _angles(
    build: Builder,
    table: ir.Value,
    positions: ir.Value | None,
    node: ir.Node,
    shape: tuple[int, int, int, int],
) -> ir.Value:
    """Returns the rows of a cosine or sine table as [batch or 1, 1, sequence, dimension / 2]."""
    batch, _, sequence, _ = shape
    columns = static_shape(table, node)[-1]
    if positions is None:
        tables = math.prod(static_shape(table, node)[:-1]) // sequence  # one, or one for each of a batch
        return build.reshape(table, (tables, 1, sequence, columns))
    if static_shape(positions, node) == (1,) and (batch, sequence) != (1, 1):
        steps = build.integers(range(sequence), "steps")
        rows = build.op("Gather", table, build.op("Add", positions, steps), dtype=table.dtype, axis=0)
        return build.reshape(rows, (1, 1, sequence, columns))
    rows = build.op("Gather", table, positions, dtype=table.dtype, axis=0)
    return build.reshape(rows, (batch, 1, sequence, columns))


def _refuse_extensions(node: ir.Node) -> None:
    for name, neutral in (("is_packed_batching", 0.0), ("scale", 1.0)):
        attribute = node.attributes.get(name)
        value = neutral if attribute is None else float(attribute.value)
        if value != neutral:
            raise PassError(
                f"RotaryEmbedding with {name} is not supported",
                where=node.name or node.op_type,
                received=f"{name}={value}",
                remedy=f"export the operator with {name}={neutral:g}",
            )
