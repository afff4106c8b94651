"""Operators that pick elements by run-time indices."""

from __future__ import annotations

from tvm import tirx

from targets.tvm.importer.kernel_builder import Body
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.registry import converter


def _in_range(index: tirx.Expr, extent: int) -> tirx.Expr:
    """Counts a negative index from the end and clamps the rest, so that bad data cannot read outside the tensor."""
    wrapped = tirx.Select(index < 0, index + extent, index)
    return tirx.max(tirx.min(wrapped, extent - 1), 0).astype("int64")


@converter("Gather")
def convert_gather(call: NodeCall) -> Operand:
    """Rows (or slices along `axis`) by index; a quantised table is decoded row by row."""
    data, indices = call[0], call[1]
    axis = call.axis(0, data.rank)
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])

    def body(element: Element, index: Element) -> Body:
        def value(*position: tirx.Expr) -> tirx.Expr:
            middle = position[axis : axis + indices.rank]
            picked = _in_range(index(*middle), data.shape[axis])
            return element(*position[:axis], picked, *position[axis + indices.rank :])

        return value

    return call.builder.move("gather", shape, [data, indices], body)


@converter("GatherElements")
def convert_gather_elements(call: NodeCall) -> Operand:
    """Elements by an index tensor of the result's shape."""
    data, indices = call[0], call[1]
    axis = call.axis(0, data.rank)

    def body(element: Element, index: Element) -> Body:
        def value(*position: tirx.Expr) -> tirx.Expr:
            picked = _in_range(index(*position), data.shape[axis])
            return element(*position[:axis], picked, *position[axis + 1 :])

        return value

    return call.builder.move("gather_elements", indices.shape, [data, indices], body)


@converter("GatherND")
def convert_gather_nd(call: NodeCall) -> Operand:
    """Slices by index tuples in the last axis of the indices."""
    data, indices = call[0], call[1]
    batch = call.integer("batch_dims", 0)
    depth = indices.shape[-1]
    leading = indices.rank - 1
    shape = (*indices.shape[:-1], *data.shape[batch + depth :])

    def body(element: Element, index: Element) -> Body:
        def value(*position: tirx.Expr) -> tirx.Expr:
            head = position[:leading]
            picked = [
                _in_range(index(*head, tirx.const(d, "int64")), data.shape[batch + d]) for d in range(depth)
            ]
            return element(*position[:batch], *picked, *position[leading:])

        return value

    return call.builder.move("gather_nd", shape, [data, indices], body)
