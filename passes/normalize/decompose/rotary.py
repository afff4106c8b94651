"""Rotary position embedding in elementary operators, shared by the passes that meet it."""

from __future__ import annotations

import dataclasses

import onnx_ir as ir

from passes.core.rewrite import Builder


@dataclasses.dataclass(frozen=True)
class Rotation:
    """How a rotary embedding pairs the elements of a head.

    Attributes:
        dimension: Leading elements of a head that are rotated (even); the rest pass through.
        interleaved: Pairs are (0, 1), (2, 3) … instead of (0, d/2), (1, d/2 + 1) ….
    """

    dimension: int
    interleaved: bool


def rotate(
    build: Builder, x: ir.Value, shape: tuple[int, ...], cos: ir.Value, sin: ir.Value, rotation: Rotation
) -> ir.Value:
    """Rotates every pair (a, b) of a head to (a·cos - b·sin, a·sin + b·cos).

    Args:
        build: Where the nodes go.
        x: [batch, heads, sequence, head_size].
        shape: Of `x`.
        cos: Cosines, broadcastable to [batch, heads, sequence, dimension / 2].
        sin: Sines, likewise.
        rotation: How elements are paired.

    Returns:
        The rotated heads, of the shape of `x`.
    """
    dimension, half = rotation.dimension, rotation.dimension // 2
    stride = 2 if rotation.interleaved else 1
    starts = (0, 1) if rotation.interleaved else (0, half)
    ends = (dimension, dimension) if rotation.interleaved else (half, dimension)
    first = _slice(build, x, starts[0], ends[0], stride)
    second = _slice(build, x, starts[1], ends[1], stride)
    real = build.op("Sub", build.op("Mul", cos, first), build.op("Mul", sin, second))
    imaginary = build.op("Add", build.op("Mul", sin, first), build.op("Mul", cos, second))
    pieces = (
        [_interleave(build, real, imaginary, shape, dimension)] if rotation.interleaved else [real, imaginary]
    )
    if dimension < shape[-1]:
        pieces.append(_slice(build, x, dimension, shape[-1], 1))
    return pieces[0] if len(pieces) == 1 else build.op("Concat", *pieces, axis=-1, shape=shape)


def _interleave(
    build: Builder, real: ir.Value, imaginary: ir.Value, shape: tuple[int, ...], dimension: int
) -> ir.Value:
    axis = build.integers([len(shape)], "axis")
    pair = [build.op("Unsqueeze", part, axis) for part in (real, imaginary)]
    return build.reshape(build.op("Concat", *pair, axis=-1), (*shape[:-1], dimension))


def _slice(build: Builder, x: ir.Value, start: int, end: int, step: int) -> ir.Value:
    bounds = [build.integers([bound], hint) for bound, hint in ((start, "start"), (end, "end"), (-1, "axis"))]
    return build.op("Slice", x, *bounds, build.integers([step], "step"))
