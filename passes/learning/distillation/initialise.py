"""Cuts the teacher down to the student's first weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from passes.learning.distillation.layout import Dimensions, Layout
from passes.learning.distillation.selection import Read, Selection


def initialise_student(
    layout: Layout, student: Dimensions, selection: Selection, read: Read
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yields the student's tensors one by one: the teacher's, at the chosen layers, heads and channels.

    Args:
        layout: Of the teacher.
        student: Its dimensions.
        selection: What to keep.
        read: Gives the teacher's tensors.

    Yields:
        Name in the student's checkpoint and float32 values.
    """
    for weight in layout.weights:
        layers = selection.layers[weight.layers] if weight.layers else np.zeros(1, np.int64)
        for position in range(student[weight.layers] if weight.layers else 1):
            source = int(layers[position])
            tensor = read(weight.name.format(layer=source))
            places = [selection.rows(axis, source, layout.dimensions) for axis in weight.axes]
            yield (
                weight.name.format(layer=position),
                np.ascontiguousarray(tensor[np.ix_(*places)], np.float32),
            )
