"""Operators that move or rename elements without computing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from tvm import te, tirx

from targets.tvm.importer.kernel_builder import Body
from targets.tvm.importer.node_call import NodeCall
from targets.tvm.importer.operand import Element, Operand
from targets.tvm.importer.operators.broadcast import broadcast_indices
from targets.tvm.importer.registry import converter


def permuted(operand: Operand, order: Sequence[int]) -> Operand:
    """The operand with permuted axes, read in place: no kernel."""
    inverse = [order.index(axis) for axis in range(len(order))]

    def bind(tensors: Sequence[te.Tensor]) -> Element:
        element = operand.bind(tensors)
        return lambda *indices: element(*(indices[axis] for axis in inverse))

    shape = tuple(operand.shape[axis] for axis in order)
    contiguous = inverse[operand.contiguous_axis]
    return Operand(operand.buffers, shape, operand.dtype, bind, contiguous, operand.is_weight)


@converter("Transpose")
def convert_transpose(call: NodeCall) -> Operand:
    """Permutes axes.

    Weights, and operands that only matrix products read with their last two axes swapped, are read in place.
    """
    source = call[0]
    order = call.integers("perm") or tuple(reversed(range(source.rank)))
    swapped = (*range(source.rank - 2), source.rank - 1, source.rank - 2)
    if source.is_weight or (order == swapped and call.read_only_by == {"MatMul"}):
        return permuted(source, order)
    view = permuted(source, order)
    return call.builder.move("transpose", view.shape, [view], lambda element: element)


@converter("Reshape")
def convert_reshape(call: NodeCall) -> Operand:
    """Same elements, new shape; 0 keeps an extent and −1 is worked out."""
    wanted = call.static_ints(1)
    source = call[0]
    if wanted is None:
        raise call.unsupported("the shape is missing")
    keep = call.integer("allowzero", 0) == 0
    shape = [source.shape[i] if extent == 0 and keep else extent for i, extent in enumerate(wanted)]
    if -1 in shape:
        known = math.prod(extent for extent in shape if extent != -1)
        shape[shape.index(-1)] = math.prod(source.shape) // max(known, 1)
    if math.prod(shape) != math.prod(source.shape):
        raise call.unsupported(f"{source.shape} does not fit into {wanted}")
    return call.builder.reshape(source, shape)


@converter("Flatten")
def convert_flatten(call: NodeCall) -> Operand:
    """To two dimensions, split at `axis`."""
    source = call[0]
    axis = call.integer("axis", 1)
    axis = axis + source.rank if axis < 0 else axis
    return call.builder.reshape(source, (math.prod(source.shape[:axis]), math.prod(source.shape[axis:])))


@converter("Squeeze")
def convert_squeeze(call: NodeCall) -> Operand:
    """Removes axes of extent 1."""
    source = call[0]
    axes = call.static_ints(1, "axes")
    gone = (
        {i for i, extent in enumerate(source.shape) if extent == 1}
        if axes is None
        else {axis % source.rank for axis in axes}
    )
    return call.builder.reshape(source, [e for i, e in enumerate(source.shape) if i not in gone])


@converter("Unsqueeze")
def convert_unsqueeze(call: NodeCall) -> Operand:
    """Inserts axes of extent 1."""
    source = call[0]
    axes = call.static_ints(1, "axes") or ()
    rank = source.rank + len(axes)
    new = {axis % rank for axis in axes}
    rest = iter(source.shape)
    return call.builder.reshape(source, [1 if i in new else next(rest) for i in range(rank)])


@converter("Expand")
def convert_expand(call: NodeCall) -> Operand:
    """Broadcasts to a shape."""
    source = call[0]
    shape = np.broadcast_shapes(source.shape, call.static_ints(1) or ())
    if shape == source.shape:
        return source

    def body(element: Element) -> Body:
        return lambda *indices: element(*broadcast_indices(source.shape, indices))

    return call.builder.move("expand", shape, [source], body)


@converter("Tile")
def convert_tile(call: NodeCall) -> Operand:
    """Repeats along each axis."""
    source = call[0]
    repeats = call.static_ints(1) or ()
    shape = [extent * count for extent, count in zip(source.shape, repeats, strict=True)]

    def body(element: Element) -> Body:
        return lambda *indices: element(
            *(
                i if n == 1 else tirx.floormod(i, e)
                for i, n, e in zip(indices, repeats, source.shape, strict=True)
            )
        )

    return call.builder.move("tile", shape, [source], body)


@converter("Concat")
def convert_concat(call: NodeCall) -> Operand:
    """Joins along one axis."""
    parts = tuple(part for part in call.present() if math.prod(part.shape) > 0) or call.present()[:1]
    if len(parts) == 1:
        return parts[0]
    axis = call.axis(0, parts[0].rank)
    starts = np.cumsum([0, *(part.shape[axis] for part in parts)]).tolist()
    shape = [*parts[0].shape[:axis], starts[-1], *parts[0].shape[axis + 1 :]]

    def body(*elements: Element) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            position = indices[axis]
            result = elements[0](*indices)
            for element, start in list(zip(elements, starts, strict=False))[1:]:
                shifted = [*indices[:axis], position - start, *indices[axis + 1 :]]
                result = tirx.if_then_else(position >= start, element(*shifted), result)
            return result

        return value

    return call.builder.move("concat", shape, parts, body)


@converter("Split")
def convert_split(call: NodeCall) -> list[Operand]:
    """Cuts along one axis into given or equal parts."""
    source = call[0]
    axis = call.axis(0, source.rank)
    count = len(call.node.outputs)
    step = -(-source.shape[axis] // count)
    sizes = call.static_ints(1) or tuple(min(step, source.shape[axis] - step * i) for i in range(count))
    results, start = [], 0
    for size in sizes:
        results.append(_slice(call, source, {axis: (start, 1, size)}))
        start += size
    return results


@converter("Slice")
def convert_slice(call: NodeCall) -> Operand:
    """Cuts with constant starts, ends and steps."""
    source = call[0]
    starts, ends = call.static_ints(1), call.static_ints(2)
    if starts is None or ends is None:
        raise call.unsupported("starts and ends are missing")
    axes = call.static_ints(3) or tuple(range(len(starts)))
    steps = call.static_ints(4) or (1,) * len(starts)
    cuts = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        span = range(source.shape[axis % source.rank])[slice(start, _end(end, step), step)]
        cuts[axis % source.rank] = (span.start, span.step, len(span))
    return _slice(call, source, cuts)


def _end(end: int, step: int) -> int | None:
    """ONNX writes "past the front" of a backward slice as a very small number."""
    return None if step < 0 and end < -(1 << 30) else end


def _slice(call: NodeCall, source: Operand, cuts: dict[int, tuple[int, int, int]]) -> Operand:
    """Takes axis → (start, step, length)."""
    shape = [cuts[i][2] if i in cuts else extent for i, extent in enumerate(source.shape)]
    if tuple(shape) == source.shape and all(step > 0 for _, step, _ in cuts.values()):
        return source

    def body(element: Element) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            moved = [
                index * cuts[axis][1] + cuts[axis][0] if axis in cuts else index
                for axis, index in enumerate(indices)
            ]
            return element(*moved)

        return value

    return call.builder.move("slice", shape, [source], body)


@converter("Pad")
def convert_pad(call: NodeCall) -> Operand:
    """Adds constant, reflected or repeated border elements."""
    source = call[0]
    amounts = call.static_ints(1, "pads") or ()
    axes = call.static_ints(3) or tuple(range(source.rank))
    before, after = [0] * source.rank, [0] * source.rank
    for position, axis in enumerate(axes):
        before[axis % source.rank] = amounts[position]
        after[axis % source.rank] = amounts[position + len(axes)]
    mode = call.text("mode", "constant")
    if mode not in ("constant", "edge", "reflect"):
        raise call.unsupported(f"mode {mode}")
    fill = call.static(2)
    return pad(call, source, before, after, mode, 0.0 if fill is None else fill.reshape(-1)[0].item())


def pad(
    call: NodeCall,
    source: Operand,
    before: Sequence[int],
    after: Sequence[int],
    mode: str = "constant",
    fill: float | int | bool = 0.0,
) -> Operand:
    """Pads an operand; see `convert_pad`. `fill` is used by the constant mode."""
    shape = [b + e + a for b, e, a in zip(before, source.shape, after, strict=True)]

    def body(element: Element) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            inside = [i - b for i, b in zip(indices, before, strict=True)]
            if mode != "constant":
                mirror = mode == "reflect"
                return element(*(_folded(i, e, mirror) for i, e in zip(inside, source.shape, strict=True)))
            bounds = [
                condition
                for i, e, b, a in zip(inside, source.shape, before, after, strict=True)
                for condition in ([i >= 0] if b else []) + ([i < e] if a else [])
            ]
            inner = element(*inside)
            return (
                tirx.if_then_else(tirx.all(*bounds), inner, tirx.const(fill, inner.ty.dtype))
                if bounds
                else inner
            )

        return value

    return call.builder.move("pad", shape, [source], body)


def _folded(index: tirx.Expr, extent: int, mirror: bool) -> tirx.Expr:
    last = extent - 1
    if not mirror:
        return tirx.max(tirx.min(index, last), 0)
    index = tirx.abs(index)
    return tirx.Select(index > last, 2 * last - index, index)


@converter("DepthToSpace")
def convert_depth_to_space(call: NodeCall) -> Operand:
    """Moves blocks of channels into the image: [N, C·b², H, W] → [N, C, H·b, W·b]."""
    n, channels, height, width = call[0].shape
    block = call.integer("blocksize", 1)
    rest = channels // (block * block)
    if call.text("mode", "DCR") == "DCR":
        split, order = (n, block, block, rest, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split, order = (n, rest, block, block, height, width), (0, 1, 4, 2, 5, 3)
    view = permuted(call.builder.reshape(call[0], split), order)
    moved = call.builder.move("depth_to_space", view.shape, [view], lambda element: element)
    return call.builder.reshape(moved, (n, rest, height * block, width * block))


@converter("Trilu")
def convert_trilu(call: NodeCall) -> Operand:
    """Zeroes what lies below (upper) or above (lower) a diagonal of the last two axes."""
    source = call[0]
    offset = (call.static_ints(1) or (0,))[0]
    upper = call.integer("upper", 1) == 1

    def body(element: Element) -> Body:
        def value(*indices: tirx.Expr) -> tirx.Expr:
            distance = indices[-1] - indices[-2]
            inner = element(*indices)
            kept = distance >= offset if upper else distance <= offset
            return tirx.Select(kept, inner, tirx.const(0, inner.ty.dtype))

        return value

    return call.builder.move("trilu", source.shape, [source], body)
