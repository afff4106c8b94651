"""Which values of a tensor are judged together: beside boxes in pixels, an error of all scores would not count."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from program.program import Array

Joints: TypeAlias = Mapping[int, Sequence[int]]
"""Axis → places inside it where a graph joins one tensor to the next, ascending."""

NO_JOINTS: Joints = MappingProxyType({})

LIKE = 4.0
"""Ratio of root mean squares up to which joined tensors are judged as one: 12 dB, about what FP8 is held to."""

UNLIKE = 100.0
"""Ratio from which channels that no joint divides are judged apart: 40 dB, what float16 is held to."""

FAR = 1e3
"""Times a constant is beyond all other values to be judged apart from them."""

NOTHING = 2.0**-20
"""Share of the largest root mean square below which values may be no more than float32 rounding of the large ones."""

_LEAST_VALUES = 16
"""Values of a channel whose root mean square tells its size: a few may be small by chance."""

_CONSTANT_SPREAD = 1e-3

Pair: TypeAlias = tuple[Array, Array]


def quantities(expected: Array, received: Array, joints: Joints = NO_JOINTS) -> list[Pair]:
    """Splits a tensor into values of like size: joined tensors, channels, and far constants such as the -1e9 of a mask.

    Args:
        expected: Finite reference values, any shape.
        received: The values beside them.
        joints: Where the graph joins the tensor of others.

    Returns:
        Flat pairs, the largest quantity first; together all values.
    """
    pieces = [(expected, received)]
    for axis, places in joints.items():
        pieces = [piece for pair in pieces for piece in _cut(pair, axis, places)]
    pieces = [channels for pair in pieces for channels in _by_channel(*pair)]
    return [part for group in _by_size(pieces) for part in _far_apart(*group)]


def _cut(pair: Pair, axis: int, places: Sequence[int]) -> Iterator[Pair]:
    expected, received = (np.split(array, places, axis) for array in pair)
    return zip(expected, received, strict=True)


def _by_channel(expected: Array, received: Array) -> Iterator[Pair]:
    """Yields channels in groups whose sizes no other lies between; shares of one are as they are, however small."""
    axis = _channel_axis(expected.shape)
    is_share = expected.min(initial=0.0) >= 0 and expected.max(initial=0.0) <= 1
    if axis is None or is_share:
        yield expected, received
        return
    others = tuple(other for other in range(expected.ndim) if other != axis)
    sizes = np.sqrt(np.square(expected).mean(axis=others))
    limits = [high for high, low in itertools.pairwise(_present(sizes)) if high >= UNLIKE * low]
    left = np.ones(sizes.shape, bool)
    for limit in limits:
        chosen = left & (sizes >= limit)
        yield _take(expected, received, chosen, axis)
        left &= ~chosen
    yield _take(expected, received, left, axis)


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """The shorter of the second axis and the last, where a tensor has channels before and behind its places."""
    axis = min((1, len(shape) - 1), key=lambda index: shape[index]) if len(shape) > 1 else None
    if axis is None or shape[axis] < 2 or math.prod(shape) < _LEAST_VALUES * shape[axis]:
        return None
    return axis


def _take(expected: Array, received: Array, chosen: Array, axis: int) -> Pair:
    return np.compress(chosen, expected, axis), np.compress(chosen, received, axis)


def _present(sizes: Array) -> list[float]:
    """Sizes in descending order, without those that are as good as nothing."""
    least = NOTHING * float(sizes.max(initial=0.0))
    return [size for size in sorted((float(size) for size in sizes), reverse=True) if size > least]


def _by_size(pieces: Sequence[Pair]) -> list[Pair]:
    """Puts pieces of like size together; what is as good as nothing counts beside the smallest."""
    if len(pieces) == 1:
        return [(pieces[0][0].reshape(-1), pieces[0][1].reshape(-1))]
    sizes = np.array([math.sqrt(np.square(piece[0]).mean()) if piece[0].size else 0.0 for piece in pieces])
    limits = [high for high, low in itertools.pairwise(_present(sizes)) if high > LIKE * low]
    group = [sum(size < limit for limit in limits) for size in sizes]
    return [
        _flat([piece for piece, number in zip(pieces, group, strict=True) if number == wanted])
        for wanted in range(len(limits) + 1)
    ]


def _flat(pieces: Sequence[Pair]) -> Pair:
    expected, received = (np.concatenate([pair[side].reshape(-1) for pair in pieces]) for side in (0, 1))
    return expected, received


def _far_apart(expected: Array, received: Array) -> list[Pair]:
    """Splits off values at a far constant: at least two at one place, `FAR` beyond the others."""
    magnitudes = np.abs(expected)
    far = magnitudes >= magnitudes.max(initial=0.0) * (1 - _CONSTANT_SPREAD)
    rest = float(magnitudes[~far].max(initial=0.0))
    is_constant = np.count_nonzero(far) > 1 and abs(np.sign(expected[far]).sum()) == np.count_nonzero(far)
    if not is_constant or rest == 0 or magnitudes.max() < FAR * rest:
        return [(expected, received)]
    return [(expected[far], received[far]), (expected[~far], received[~far])]
