"""Reads sines and cosines of integer positions from tables."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from exporter.program import Array
from passes.rewrite import Builder, Rewrite, is_op, modality_of, small_constant

_MOVES = frozenset(
    {"Concat", "Expand", "Flatten", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
_INTEGERS = (ir.DataType.INT32, ir.DataType.INT64)
_TABLE_LIMIT = 64 << 20
"""Bytes; 131,072 positions of a head of 256 elements."""


class TabulateAngles(Rewrite):
    """cos(position · frequencies) → Gather(table, position · columns + column), and likewise for sin.

    HTP computes angles in float16, also where the graph says float32: position 1000 times a frequency is then off by
    up to 0.25 rad. The table holds float32 cosines of float32 angles, rounded to the type in which they are used.
    What moves data between positions, angles and cosines is repeated on the other side.

    Args:
        component: Name of the component; tables are named `<component>/…`.
        positions: Number of positions a table covers, from 0; none where it is not known.
    """

    def __init__(self, component: str, positions: int | None) -> None:
        super().__init__()
        self._component = component
        self._positions = positions

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one Cos or Sin."""
        angles = _find_angles(node.inputs[0]) if is_op(node, "Cos", "Sin") else None
        if angles is None:
            return False
        product, source, frequencies = angles
        columns = frequencies.size
        if self._positions is None or self._positions * columns * 2 > _TABLE_LIMIT:
            self.remark(node, f"{node.op_type} is computed in float16", "the number of positions is not known")
            return False
        build = Builder(graph, node)
        narrow = _consumers_narrow(node)
        dtype = ir.DataType.FLOAT16 if narrow else node.outputs[0].dtype or ir.DataType.FLOAT
        table = build.constant(self._table(node.op_type, frequencies, dtype), "table")
        step = build.constant(np.asarray(columns, np.int32), "columns")
        offset = build.constant(np.arange(columns, dtype=np.int32), "column")
        index = build.op("Add", build.op("Mul", _as_integers(build, source), step), offset)
        index.shape = product.shape
        looked_up = build.op("Gather", table, index, dtype=dtype, axis=0)
        looked_up.shape = product.shape
        result = _replay(build, node.inputs[0], product, looked_up)
        result.shape = node.outputs[0].shape
        for cast in narrow:
            cast.outputs[0].replace_all_uses_with(result)
            graph.remove(cast, safe=True)
        node.outputs[0].replace_all_uses_with(result)
        self.remark(
            node,
            f"{node.op_type} reads a table of {self._positions} positions",
            "float16 does not hold the angles",
            {"bytes": float(self._positions * columns * dtype.itemsize)},
        )
        graph.remove(node, safe=True)
        return True

    def _table(self, op_type: str, frequencies: Array, dtype: ir.DataType) -> Array:
        """Returns the flat table [positions · columns]; a Gather of single elements keeps any layout of positions."""
        positions = np.arange(self._positions, dtype=np.float32)
        angles = positions[:, None] * frequencies.astype(np.float32).reshape(1, -1)
        values = np.cos(angles) if op_type == "Cos" else np.sin(angles)
        return values.reshape(-1).astype(dtype.numpy())


def _find_angles(value: ir.Value | None) -> tuple[ir.Value, ir.Value, Array] | None:
    """Follows data movement back to positions · frequencies; returns the product, positions and frequencies."""
    node = None if value is None else value.producer()
    if node is None or value is None:
        return None
    if is_op(node, *_MOVES):
        sources = {source for source in node.inputs if source is not None and not source.is_initializer()}
        return _find_angles(sources.pop()) if len(sources) == 1 else None
    if not is_op(node, "Mul"):
        return None
    for index in (0, 1):
        positions, frequencies = node.inputs[index], small_constant(node.inputs[1 - index])
        if positions is None or frequencies is None or not _is_row(frequencies) or value.shape is None:
            continue
        if _is_integral(positions) and value.shape[-1] == frequencies.size:
            return value, positions, frequencies
    return None


def _is_row(frequencies: Array) -> bool:
    return frequencies.ndim > 0 and frequencies.shape[-1] == frequencies.size


def _is_integral(value: ir.Value) -> bool:
    """Tells whether a float value is a Cast of integers, moved or not."""
    node = value.producer()
    if node is None:
        return False
    if is_op(node, "Cast"):
        source = node.inputs[0]
        return source is not None and (source.dtype in _INTEGERS or _is_integral(source))
    return is_op(node, *_MOVES) and node.inputs[0] is not None and _is_integral(node.inputs[0])


def _as_integers(build: Builder, value: ir.Value) -> ir.Value:
    """Repeats the movement of a float value on the int32 positions it was cast from."""
    node = value.producer()
    if node is None or value.dtype in _INTEGERS:
        return value if value.dtype == ir.DataType.INT32 else _to_int32(build, value)
    if is_op(node, "Cast") and node.inputs[0] is not None:
        return _as_integers(build, node.inputs[0])
    inputs = [source for source in node.inputs if source is not None]
    return _copy(build, node, [_as_integers(build, inputs[0]), *inputs[1:]])


def _to_int32(build: Builder, value: ir.Value) -> ir.Value:
    narrow = build.op("Cast", value, dtype=ir.DataType.INT32, to=int(ir.DataType.INT32))
    narrow.shape = value.shape
    return narrow


def _replay(build: Builder, value: ir.Value | None, start: ir.Value, replacement: ir.Value) -> ir.Value:
    """Repeats the movement from `start` to `value`, beginning with `replacement`."""
    node = None if value is None or value is start else value.producer()
    if node is None:
        return replacement
    inputs = [
        source if source is None or source.is_initializer() else _replay(build, source, start, replacement)
        for source in node.inputs
    ]
    return _copy(build, node, inputs)


def _copy(build: Builder, node: ir.Node, inputs: list[ir.Value | None]) -> ir.Value:
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    copied = build.op(node.op_type, *inputs, **attributes)
    copied.shape = node.outputs[0].shape
    return copied


def _consumers_narrow(node: ir.Node) -> list[ir.Node]:
    """Returns the Casts to float16 that are the only uses of a result, else nothing."""
    users = [use.node for use in node.outputs[0].uses()]
    narrow = all(is_op(user, "Cast") and user.outputs[0].dtype == ir.DataType.FLOAT16 for user in users)
    kept = any(user.outputs[0].is_graph_output() for user in users)
    return users if narrow and not kept else []
