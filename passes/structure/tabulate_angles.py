"""Reads sines and cosines of integer positions from tables."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from passes.core.evaluate import evaluate
from passes.core.rewrite import Builder, Rewrite, is_op, small_constant, static_shape
from program.program import Array

_MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)
_TABLE_LIMIT = 64 << 20
"""Bytes; 131,072 positions of a head of 256 elements."""


@dataclasses.dataclass(frozen=True)
class _Angles:
    """A product of positions and frequencies.

    Attributes:
        product: The angles [..., columns].
        moved: The positions as float, broadcast to the product.
        positions: The graph input of integers they come from.
        frequencies: [columns].
    """

    product: ir.Value
    moved: ir.Value
    positions: ir.Value
    frequencies: Array


class TabulateAngles(Rewrite):
    """cos(position · frequencies) → Gather(table, position), and likewise for sin.

    In float16, as accelerators compute angles whatever the graph says, position 1000 times a frequency is off by up to
    0.25 rad. The table [positions, columns] holds float32 cosines of float32 angles, rounded to the type in
    which they are used, and is read by rows, as an embedding is. Where columns take their position from different rows
    (time, height and width of an image token), there is one table for each row, with zeros in the others' columns, and
    the rows read are added.

    Args:
        positions: Number of positions a table covers, from 0; none where it is not known.
    """

    def __init__(self, positions: int | None) -> None:
        super().__init__()
        self._positions = positions
        self._model: ir.Model | None = None

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites all cosines and sines of positions."""
        self._model = model
        return super().call(model)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Cos or Sin."""
        angles = _find_angles(node.inputs[0]) if is_op(node, "Cos", "Sin") else None
        if angles is None or self._model is None:
            return False
        sources = _sources(self._model, angles)
        positions, groups = self._positions or 0, np.unique(sources, axis=1).shape[1]
        size = positions * angles.frequencies.size * groups * 2
        if not 0 < size <= _TABLE_LIMIT:
            why = "the positions are not bounded" if not size else f"a table would take {size} bytes"
            self.remark(node, f"{node.op_type} is computed in float16", why)
            return False
        build, narrow = Builder(graph, node), _narrowing_casts(node)
        table = _table(node.op_type, positions, angles.frequencies, np.float16 if narrow else np.float32)
        looked_up = build.reshape(_look_up(build, angles, sources, table), static_shape(angles.product, node))
        result = _replay(build, node.inputs[0], angles.product, looked_up)
        for cast in narrow:
            cast.outputs[0].replace_all_uses_with(result)
            graph.remove(cast, safe=True)
        if narrow:
            graph.remove(node, safe=True)
        else:
            build.replace_anchor(result)
        what = f"{node.op_type} reads tables of {positions} positions"
        self.remark(node, what, "float16 does not hold the angles", {"bytes": float(size)})
        return True


def _table(op_type: str, positions: int, frequencies: Array, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Returns the function values [positions, columns]."""
    angles = np.arange(positions, dtype=np.float32)[:, None] * frequencies.astype(np.float32).reshape(1, -1)
    return np.asarray(np.cos(angles) if op_type == "Cos" else np.sin(angles), dtype)


def _find_angles(value: ir.Value | None) -> _Angles | None:
    """Follows data movement back to positions · frequencies."""
    node = None if value is None else value.producer()
    if node is None or value is None:
        return None
    if is_op(node, *_MOVES):
        sources = {source for source in node.inputs if source is not None and not source.is_initializer()}
        return _find_angles(sources.pop()) if len(sources) == 1 else None
    if not is_op(node, "Mul") or value.shape is None:
        return None
    for index in (0, 1):
        moved, frequencies = node.inputs[index], small_constant(node.inputs[1 - index])
        if moved is None or frequencies is None or frequencies.ndim == 0:
            continue
        positions = _integers_of(moved)
        if positions is not None and frequencies.size == frequencies.shape[-1] == value.shape[-1]:
            return _Angles(value, moved, positions, frequencies.reshape(-1))
    return None


def _integers_of(value: ir.Value) -> ir.Value | None:
    """Returns the graph input of integers that a value is moved and cast from."""
    node = value.producer()
    if node is None:
        return value if value.is_graph_input() and value.dtype in _INTEGERS else None
    first = node.inputs[0] if node.inputs else None
    others = [source for source in node.inputs[1:] if source is not None and not source.is_initializer()]
    if first is None or others or not is_op(node, "Cast", *_MOVES):
        return None
    return _integers_of(first)


def _sources(model: ir.Model, angles: _Angles) -> Array:
    """Returns which position each angle is made from: indices [rows, columns] into the flat positions.

    Moves the indices themselves through the graph; float32 holds those below 2²⁴.
    """
    dtype = (angles.positions.dtype or ir.DataType.INT64).numpy()
    shape, whole = _sizes(angles.positions), _sizes(angles.product)
    indices = np.arange(math.prod(shape), dtype=dtype).reshape(shape)
    moved = evaluate(model, [angles.moved], {angles.positions.name or "": indices})[0]
    return np.broadcast_to(moved, whole).astype(np.int64).reshape(-1, whole[-1])


def _look_up(build: Builder, angles: _Angles, sources: Array, table: Array) -> ir.Value:
    """Reads the table by rows, once for each group of columns that share their positions, and adds what was read."""
    parts = []
    flat = build.reshape(angles.positions, (math.prod(_sizes(angles.positions)),))
    for pattern in np.unique(sources, axis=1).T:
        columns = (sources == pattern[:, None]).all(axis=0)
        rows = flat if _is_whole(pattern, angles.positions) else _take(build, flat, pattern)
        constant = build.constant(np.where(columns, table, 0).astype(table.dtype), "table")
        parts.append(build.op("Gather", constant, rows, shape=sources.shape, axis=0))
    return functools.reduce(lambda left, right: build.op("Add", left, right, shape=sources.shape), parts)


def _sizes(value: ir.Value) -> tuple[int, ...]:
    return tuple(int(size) for size in value.shape.numpy()) if value.shape is not None else ()


def _is_whole(pattern: Array, positions: ir.Value) -> bool:
    return bool(np.array_equal(pattern, np.arange(_size(positions))))


def _size(value: ir.Value) -> int:
    return int(np.prod(value.shape.numpy())) if value.shape is not None else 0


def _take(build: Builder, flat: ir.Value, pattern: Array) -> ir.Value:
    """Reads some of the flat positions."""
    if np.array_equal(pattern, np.arange(pattern[0], pattern[0] + len(pattern))):
        bounds = [
            build.integers([int(bound)], "bound") for bound in (pattern[0], pattern[0] + len(pattern), 0)
        ]
        return build.op("Slice", flat, *bounds, shape=(len(pattern),))
    return build.op("Gather", flat, build.integers(pattern.tolist(), "rows"), shape=(len(pattern),), axis=0)


def _replay(build: Builder, value: ir.Value | None, start: ir.Value, replacement: ir.Value) -> ir.Value:
    """Repeats the movement from `start` to `value`, beginning with `replacement`."""
    node = None if value is None or value is start else value.producer()
    if node is None:
        return replacement
    inputs = [
        source if source is None or source.is_initializer() else _replay(build, source, start, replacement)
        for source in node.inputs
    ]
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    copied = build.op(node.op_type, *inputs, dtype=replacement.dtype, **attributes)
    copied.shape = node.outputs[0].shape
    return copied


def _narrowing_casts(node: ir.Node) -> list[ir.Node]:
    """Returns the Casts to float16 that are the only uses of a result, else nothing."""
    users = [use.node for use in node.outputs[0].uses()]
    narrow = all(is_op(user, "Cast") and user.outputs[0].dtype == ir.DataType.FLOAT16 for user in users)
    kept = any(value.is_graph_output() for user in (node, *users) for value in user.outputs)
    return users if narrow and not kept else []
