"""What of the teacher a student begins with: which layers, and in each which heads and channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from passes.learning.distillation.layout import Axis, Dimensions, Indices, Layout

EVERYWHERE = -1
"""Stands for the layer of a dimension that all layers share."""

Scores = Mapping[tuple[str, int], npt.NDArray[np.float64]]
"""(dimension, layer or `EVERYWHERE`) → importance of each unit."""

Read = Callable[[str], npt.NDArray[np.float32]]
"""Tensor name → values."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Parts of the teacher, in ascending order.

    Attributes:
        layers: Stack → the teacher's layers.
        units: (dimension, the teacher's layer or `EVERYWHERE`) → units; a dimension that is absent is kept whole.
    """

    layers: Mapping[str, Indices]
    units: Mapping[tuple[str, int], Indices]

    def rows(self, axis: Axis, layer: int, teacher: Dimensions) -> Indices:
        """Returns the chosen positions on an axis of a tensor of one of the teacher's layers."""
        count = teacher[axis.dimension] if axis.dimension else 1
        whole = np.arange(count)
        chosen = self.units.get((axis.dimension, layer), self.units.get((axis.dimension, EVERYWHERE), whole))
        return axis.rows(chosen, count)


def select(
    layout: Layout,
    student: Dimensions,
    scores: Scores,
    layer_scores: Mapping[str, Sequence[float]] | None = None,
    required: Mapping[str, Sequence[int]] | None = None,
) -> Selection:
    """Keeps the most important units of each dimension.

    Args:
        layout: Of the teacher.
        student: Dimensions to cut down to.
        scores: From `weight_norms` or `passes.learning.distillation.importance.activation_norms`.
        layer_scores: Stack → importance of each layer; default: layers evenly spread, the first and last among them.
        required: Stack → layers that stay in any case.
    """
    required, layer_scores = required or {}, layer_scores or {}
    layers = {
        stack: _layers(
            layout.dimensions[stack], student[stack], required.get(stack, ()), layer_scores.get(stack)
        )
        for stack in layout.stacks
    }
    units = {
        key: np.sort(np.argsort(-values, kind="stable")[: student[key[0]]]) for key, values in scores.items()
    }
    return Selection(layers, units)


def weight_norms(layout: Layout, read: Read) -> dict[tuple[str, int], npt.NDArray[np.float64]]:
    """Scores units by the weights that read or make them: each tensor's squared norm, shared out over the units.

    Args:
        layout: Of the teacher.
        read: Gives the teacher's tensors; each is read once.
    """
    scores: dict[tuple[str, int], npt.NDArray[np.float64]] = {}
    for name, weight, layer in layout.tensors():
        squares = np.square(read(name), dtype=np.float64)
        total = max(float(squares.sum()), 1e-30)
        for position, axis in enumerate(weight.axes):
            key = unit_key(layout, axis, layer)
            if key is not None:
                share = by_unit(squares, position, axis) / total
                scores[key] = scores.get(key, np.zeros_like(share)) + share
    return scores


def unit_key(layout: Layout, axis: Axis, layer: int) -> tuple[str, int] | None:
    """Returns the key in scores of an axis of a layer's tensor; None where its size never changes."""
    if not axis.dimension or axis.dimension in layout.stacks:
        return None
    return axis.dimension, layer if layout.layers_of(axis.dimension) else EVERYWHERE


def by_unit(values: npt.NDArray[np.float64], position: int, axis: Axis) -> npt.NDArray[np.float64]:
    """Sums an array up for each unit of one of its axes."""
    other = tuple(index for index in range(values.ndim) if index != position)
    summed: npt.NDArray[np.float64] = (
        values.sum(axis=other).reshape(axis.repeats, -1, axis.width).sum(axis=(0, 2))
    )
    return summed


def _layers(count: int, kept: int, required: Sequence[int], scores: Sequence[float] | None) -> Indices:
    """Chooses layers: those required, then by score or else evenly spread, first and last among them."""
    taken = [int(index) for index in required]
    if scores is None:
        places = np.linspace(0, count - 1, kept)
        # a place that a required layer is next to is served already: begin with the others
        distances = np.min(np.abs(places[:, None] - np.array([*taken, np.inf])), axis=1)
        wanted = [float(place) for place in places[np.argsort(-distances, kind="stable")]]
    else:
        wanted = [float(index) for index in np.argsort(-np.asarray(scores), kind="stable")]
    for place in wanted[: kept if scores is None else count]:
        free = [index for index in range(count) if index not in taken]
        if len(taken) < kept and (scores is None or place in free):
            taken.append(min(free, key=lambda index: abs(index - place)))
    return np.sort(np.array(taken[:kept], np.int64))
