"""Convolutions with groups as ones without: what an output does not read has the weight zero."""

from __future__ import annotations

import numpy as np

from exporter.program import Array


def ungrouped_weights(weights: Array, groups: int) -> Array:
    """Fills in the zeros of a grouped convolution.

    Args:
        weights: [outputs, inputs of a group, kernel rows, kernel columns].
        groups: Divides the outputs.

    Returns:
        [outputs, inputs, kernel rows, kernel columns].
    """
    outputs, inputs, *kernel = weights.shape
    dense = np.zeros((groups, outputs // groups, groups, inputs, *kernel), weights.dtype)
    for group, part in enumerate(np.split(weights, groups)):
        dense[group, :, group] = part
    return dense.reshape(outputs, groups * inputs, *kernel)
