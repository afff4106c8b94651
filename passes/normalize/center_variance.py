"""Writes a variance from two moments as the mean of squared distances, which survives a narrow type."""

from __future__ import annotations

import dataclasses
import math

import onnx_ir as ir

from passes.core.properties import AXES
from passes.core.rewrite import (
    COMPUTE_KEY,
    Builder,
    Rewrite,
    input_at,
    integer,
    is_op,
    scalar_constant,
    small_constant,
)
from passes.float.float16 import FLOATS

_COUNT_TOLERANCE = 1e-4
"""Relative; a reciprocal of the number of elements is rounded to the graph's type."""


@dataclasses.dataclass(frozen=True)
class _Mean:
    """A mean that was found.

    Attributes:
        source: What it is the mean of.
        axes: Positive, sorted.
        keeps: Whether the reduced axes stay, with extent 1.
    """

    source: ir.Value
    axes: tuple[int, ...]
    keeps: bool


class CenterVariance(Rewrite):
    """mean(x · x) - mean(x)² → mean((x - mean(x))²).

    JAX and its libraries write normalisations this way, with ReduceMean or with ReduceSum and a factor. The moments
    are far larger than their difference, which a narrow type loses, and the sums leave float16: a row of 512 values
    of 12 has a sum of squares of 73728. The new nodes carry the tag `npuc.compute = float32`, as those of
    `DecomposeRmsNormalization` do.
    """

    needs = (AXES,)

    def rewrite_node(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrites one difference of moments."""
        if not is_op(node, "Sub"):
            return False
        second, squared = _second_moment(node.inputs[0]), _square_root(node.inputs[1])
        first = _mean(squared)
        if second is None or first is None or squared is None or second != first:
            return False
        x, result = first.source, node.outputs[0]
        extents = _extents(x)
        if extents is None or x.dtype not in FLOATS:
            return False
        kept = [1 if axis in first.axes else extent for axis, extent in enumerate(extents)]
        build, tags = Builder(graph, node), {COMPUTE_KEY: "float32"}
        mean = squared if first.keeps else build.reshape(squared, kept)
        distance = build.op("Sub", x, mean, shape=extents, metadata=tags)
        square = build.op("Mul", distance, distance, shape=extents, metadata=tags)
        variance = build.op(
            "ReduceMean",
            square,
            build.integers(first.axes, "axes"),
            metadata=tags,
            keepdims=int(first.keeps),
        )
        variance.shape = result.shape
        build.replace_anchor(variance)
        self.remark(
            node, "a variance is computed from distances to the mean", "a difference of moments cancels"
        )
        return True


def _second_moment(value: ir.Value | None) -> _Mean | None:
    """Matches mean(x · x); gives x in the place of its square."""
    mean = _mean(value)
    source = None if mean is None else _square_root(mean.source)
    if mean is not None and source is not None:
        return dataclasses.replace(mean, source=source)
    return _mean(value, "ReduceSumSquare")


def _mean(value: ir.Value | None, sum_operator: str = "ReduceSum") -> _Mean | None:
    """Matches ReduceMean(x), ReduceSum(x) · (1 / n) and ReduceSum(x) / n."""
    node = None if value is None else value.producer()
    if node is None:
        return None
    if is_op(node, "ReduceMean") and sum_operator == "ReduceSum":
        return _reduction(node)
    if not is_op(node, "Mul", "Div"):
        return None
    for index in (0, 1) if is_op(node, "Mul") else (0,):
        total, factor = input_at(node, index), scalar_constant(input_at(node, 1 - index))
        inner = None if total is None else total.producer()
        if inner is None or not factor or not is_op(inner, sum_operator):
            continue
        found = _reduction(inner)
        count = 1 / factor if is_op(node, "Mul") else factor
        if found is not None and math.isclose(count, _count(found), rel_tol=_COUNT_TOLERANCE):
            return found
    return None


def _reduction(node: ir.Node) -> _Mean | None:
    """Reads a reduction of a static shape over constant axes."""
    source = input_at(node, 0)
    extents = None if source is None else _extents(source)
    if source is None or not extents:
        return None
    given = small_constant(input_at(node, 1))
    if given is None or not given.size:
        return None
    axes = tuple(sorted(int(axis) % len(extents) for axis in given.reshape(-1)))
    return _Mean(source, axes, integer(node, "keepdims", 1) == 1)


def _square_root(value: ir.Value | None) -> ir.Value | None:
    """Matches x · x and x to the power of 2; gives x."""
    node = None if value is None else value.producer()
    if node is None or not is_op(node, "Mul", "Pow"):
        return None
    x, other = input_at(node, 0), input_at(node, 1)
    squares = other is x if is_op(node, "Mul") else scalar_constant(other) == 2.0
    return x if squares else None


def _count(mean: _Mean) -> int:
    extents = _extents(mean.source) or []
    return math.prod(extents[axis] for axis in mean.axes)


def _extents(value: ir.Value) -> list[int] | None:
    if value.shape is None or not value.shape.is_static():
        return None
    return [int(extent) for extent in value.shape.numpy()]
