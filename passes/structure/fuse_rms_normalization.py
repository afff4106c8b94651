"""Puts a decomposed RMSNormalization back into one operator, which accelerators have natively."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from passes.core.rewrite import Builder, Rewrite, integer, is_op, scalar_constant, small_constant


@dataclasses.dataclass(frozen=True)
class _Match:
    """The operands of one matched normalisation."""

    x: ir.Value
    scale: ir.Value
    axis: int
    epsilon: float


class FuseRmsNormalization(Rewrite):
    """x / sqrt(mean(x²) + epsilon) · scale, with or without Casts to float32, → RMSNormalization(x, scale).

    An accelerator may compute the elementary operators in float16, whatever their tensors' type: the square of an
    activation beyond 256 overflows. Its own operator keeps the sum wide.
    """

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites the product that ends one normalisation."""
        found = _match(node) if is_op(node, "Mul") else None
        if found is None:
            return False
        build = Builder(graph, node)
        build.replace_anchor(
            build.op(
                "RMSNormalization",
                found.x,
                found.scale,
                dtype=found.x.dtype,
                axis=found.axis,
                epsilon=found.epsilon,
                stash_type=int(ir.DataType.FLOAT),
            )
        )
        return True


def _match(node: ir.Node) -> _Match | None:
    """Matches Mul(normalised, scale) in both orders."""
    for index in (0, 1):
        normalised, scale = node.inputs[index], node.inputs[1 - index]
        if (
            normalised is None
            or scale is None
            or not scale.is_initializer()
            or scale.dtype != normalised.dtype
        ):
            continue
        divide = _producer(_uncast(normalised), "Div")
        root = None if divide is None else _producer(divide.inputs[1], "Sqrt")
        total = None if root is None else _producer(root.inputs[0], "Add")
        if divide is None or total is None or divide.inputs[0] is None:
            continue
        found = _mean_of_square(total, divide.inputs[0])
        x = _uncast(divide.inputs[0])
        if found is not None and x.dtype == scale.dtype and _covers(scale, x, found[0]):
            return _Match(x, scale, found[0], found[1])
    return None


def _mean_of_square(total: ir.Node, wide: ir.Value) -> tuple[int, float] | None:
    """Matches mean(wide · wide) + epsilon; returns first axis and epsilon."""
    for index in (0, 1):
        mean, epsilon = _producer(total.inputs[index], "ReduceMean"), scalar_constant(total.inputs[1 - index])
        if mean is None or epsilon is None or integer(mean, "keepdims", 1) != 1:
            continue
        square = _producer(mean.inputs[0], "Mul")
        axes = small_constant(mean.inputs[1]) if len(mean.inputs) > 1 else None
        if square is None or axes is None or any(factor is not wide for factor in square.inputs):
            continue
        rank = len(wide.shape) if wide.shape is not None else 0
        trailing = sorted(int(axis) % rank for axis in axes.reshape(-1)) if rank else []
        if trailing and trailing == list(range(trailing[0], rank)):
            return trailing[0], epsilon
    return None


def _covers(scale: ir.Value, x: ir.Value, axis: int) -> bool:
    """Tells whether the scale has exactly the normalised axes."""
    return scale.shape is not None and x.shape is not None and list(scale.shape) == list(x.shape)[axis:]


def _producer(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """Returns the node that makes a value, if it is of that kind."""
    node = None if value is None else value.producer()
    return node if node is not None and is_op(node, op_type) else None


def _uncast(value: ir.Value) -> ir.Value:
    """Skips a Cast between float types."""
    node = _producer(value, "Cast")
    source = None if node is None else node.inputs[0]
    floats = (ir.DataType.FLOAT, ir.DataType.FLOAT16)
    return source if source is not None and source.dtype in floats else value
