"""How axes pass through operators that move elements."""

from __future__ import annotations

import onnx_ir as ir

from passes.core.rewrite import input_at, integer, is_op, required_input, small_constant, static_shape
from passes.learning.pruning.dimensions import Axis
from passes.learning.pruning.tracer import Tracer, rule


@rule("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def trace_reshape(tracer: Tracer, node: ir.Node) -> None:
    """Regroups the factors of the axes."""
    x, shape = tracer.axes(required_input(node, 0)), static_shape(node.outputs[0], node)
    grouped = tracer.dimensions.regroup(x, shape)
    if grouped is None:
        tracer.give_up(node, "the channels are regrouped across factors")
    else:
        tracer.set(node, grouped)


@rule("Transpose")
def trace_transpose(tracer: Tracer, node: ir.Node) -> None:
    """Permutes axes."""
    x = tracer.axes(required_input(node, 0))
    order = node.attributes.get_ints("perm", tuple(reversed(range(len(x)))))
    tracer.set(node, [x[axis] for axis in order])


@rule("Expand")
def trace_expand(tracer: Tracer, node: ir.Node) -> None:
    """Repeats axes of extent 1."""
    x, shape = tracer.axes(required_input(node, 0)), static_shape(node.outputs[0], node)
    aligned: list[Axis] = [()] * (len(shape) - len(x)) + list(x)
    repeated = tracer.fresh(shape)
    tracer.set(node, [axis or repeated[index] for index, axis in enumerate(aligned)])


@rule("Gather")
def trace_gather(tracer: Tracer, node: ir.Node) -> None:
    """Rows are picked by index: the gathered axis stays, the others pass."""
    data, indices = (tracer.axes(required_input(node, index)) for index in (0, 1))
    axis = integer(node, "axis", 0) % len(data)
    tracer.fix([data[axis]], node, "rows are addressed by number")
    tracer.set(node, [*data[:axis], *indices, *data[axis + 1 :]])


@rule("Concat")
def trace_concat(tracer: Tracer, node: ir.Node) -> None:
    """Joins along an axis, which stays."""
    operands = [list(tracer.axes(value)) for value in node.inputs if value is not None]
    rank = len(operands[0])
    along = integer(node, "axis", 0) % rank
    result = list(operands[0])
    for axes in operands:
        tracer.fix([axes[along]], node, "joined channels stay")
        for axis in set(range(rank)) - {along}:
            tracer.unify(result[axis], axes[axis], node)
            result[axis] = result[axis] or axes[axis]
    result[along] = _stays(tracer, node, along, 0)
    tracer.set(node, result)


@rule("Split")
def trace_split(tracer: Tracer, node: ir.Node) -> None:
    """Equal parts (query, key and value of one projection) share their channels; unequal ones stay."""
    x = list(tracer.axes(required_input(node, 0)))
    along = integer(node, "axis", 0) % len(x)
    sizes = [static_shape(value, node)[along] for value in node.outputs]
    parts = None
    if len(set(sizes)) == 1 and len(sizes) > 1:
        parts = tracer.dimensions.regroup([x[along]], [len(sizes), sizes[0]])
    tracer.fix([x[along]] if parts is None else [parts[0]], node, "the parts of a split stay")
    for index in range(len(node.outputs)):
        part = _stays(tracer, node, along, index) if parts is None else parts[1]
        tracer.set(node, [*x[:along], part, *x[along + 1 :]], index)


@rule("Slice", "Pad", "Resize", "Tile")
def trace_extent_change(tracer: Tracer, node: ir.Node) -> None:
    """Axes whose extent changes stay; the others pass."""
    x, shape = tracer.axes(required_input(node, 0)), static_shape(node.outputs[0], node)
    before = static_shape(required_input(node, 0), node)
    steps = small_constant(input_at(node, 4)) if is_op(node, "Slice") else None
    if steps is not None and steps.min() < 0:
        tracer.give_up(node, "channels are reversed")
        return
    result = list(x)
    for axis, (old, new) in enumerate(zip(before, shape, strict=True)):
        if old != new or old == 1:
            tracer.fix([x[axis]], node, "channels are cut or repeated")
            result[axis] = _stays(tracer, node, axis, 0)
    tracer.set(node, result)


def _stays(tracer: Tracer, node: ir.Node, axis: int, index: int) -> Axis:
    size = static_shape(node.outputs[index], node)[axis]
    return tracer.dimensions.axis(size, tracer.reason(node, "joined or split channels stay"))
