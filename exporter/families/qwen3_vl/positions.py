"""Positions of Qwen3-VL: of patches in the vision encoder, of tokens in the decoder. numpy only.

Notation: a *patch* is 16x16 pixels; `merge` x `merge` patches become one token. Patches are ordered by merge block:
(block row, block column, row in block, column in block).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


def patch_coordinates(grid: tuple[int, int], merge: int) -> Int64:
    """Row and column of each patch, in the order the encoder sees them.

    Args:
        grid: Patches per column and per row.
        merge: Patches per side of a merge block.

    Returns:
        [patches, 2].
    """
    rows, columns = np.meshgrid(np.arange(grid[0]), np.arange(grid[1]), indexing="ij")
    blocks = (grid[0] // merge, merge, grid[1] // merge, merge)
    ordered = [axis.reshape(blocks).transpose(0, 2, 1, 3).reshape(-1) for axis in (rows, columns)]
    return np.stack(ordered, axis=1).astype(np.int64)


def inverse_frequencies(dim: int, theta: float) -> Float32:
    """Rotary frequencies theta^(-2i/dim), i < dim/2 (RoFormer, arXiv 2104.09864, section 3.2.2).

    Returns:
        [dim / 2].
    """
    exponents = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
    frequencies: Float32 = (1.0 / np.power(np.float32(theta), exponents)).astype(np.float32)
    return frequencies


def vision_rotary_tables(coordinates: Int64, head_dim: int, theta: float) -> tuple[Float32, Float32]:
    """Cosine and sine of the two-dimensional rotary embedding: half the frequencies turn by row, half by column.

    Args:
        coordinates: [patches, 2] row and column.
        head_dim: Width of a head; a multiple of 4.
        theta: Base of the frequencies.

    Returns:
        Two tables [patches, head_dim].
    """
    frequencies = inverse_frequencies(head_dim // 2, theta)
    angles = coordinates[:, :, None].astype(np.float32) * frequencies
    angles = angles.reshape(len(coordinates), -1)
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def interpolate_positions(table: Float32, coordinates: Int64, grid: tuple[int, int]) -> Float32:
    """Resamples the square learned position table to the image's grid, bilinearly with aligned corners.

    Args:
        table: [side * side, hidden].
        coordinates: [patches, 2] row and column in `grid`.
        grid: Patches per column and per row.

    Returns:
        [patches, hidden].
    """
    side = math.isqrt(len(table))
    result = np.zeros((len(coordinates), table.shape[1]), np.float32)
    row_taps = _linear_taps(coordinates[:, 0], grid[0], side)
    column_taps = _linear_taps(coordinates[:, 1], grid[1], side)
    for row, row_weight in row_taps:
        for column, column_weight in column_taps:
            result += table[row * side + column] * (row_weight * column_weight)[:, None]
    return result


def _linear_taps(index: Int64, size: int, side: int) -> list[tuple[Int64, Float32]]:
    source = index.astype(np.float32) * np.float32(side - 1) / np.float32(max(size - 1, 1))
    floor = np.floor(source)
    fraction = (source - floor).astype(np.float32)
    low = floor.astype(np.int64)
    return [(low, 1 - fraction), (np.minimum(low + 1, side - 1), fraction)]


def mrope_selector(section: Sequence[int]) -> Int64:
    """Which of (time, row, column) turns each frequency, interleaved: t h w t h w … t t (Qwen3-VL).

    Args:
        section: Numbers of frequencies for time, row and column.

    Returns:
        [sum(section)] of 0, 1, 2.
    """
    selector = np.zeros(sum(section), np.int64)
    for axis in (1, 2):
        selector[axis : 3 * section[axis] : 3] = axis
    return selector


def token_positions(is_image: npt.NDArray[np.bool_], grid: tuple[int, int]) -> tuple[Int64, int]:
    """Position triples (time, row, column) of a prompt's tokens.

    Text tokens count up on all three axes. The tokens of an image share the time of its start; their row and column
    count from there. Text after an image goes on at start + max(rows, columns).

    Args:
        is_image: [tokens] whether a token stands for a part of an image.
        grid: Tokens per column and per row of each image (after merging).

    Returns:
        [3, tokens], and the position of the first token to come.

    Raises:
        ValueError: A run of image tokens is not a whole number of images long.
    """
    rows, columns = grid
    image = np.stack(
        [
            np.zeros(rows * columns, np.int64),
            np.repeat(np.arange(rows), columns),
            np.tile(np.arange(columns), rows),
        ]
    )
    pieces: list[Int64] = []
    index = position = 0
    while index < len(is_image):
        if not is_image[index]:
            pieces.append(np.full((3, 1), position, np.int64))
            index, position = index + 1, position + 1
            continue
        if not is_image[index : index + rows * columns].all() or index + rows * columns > len(is_image):
            raise ValueError(f"image tokens at {index} do not fill a grid of {rows} x {columns}")
        pieces.append(image + position)
        index, position = index + rows * columns, position + max(rows, columns)
    return np.concatenate(pieces, axis=1) if pieces else np.zeros((3, 0), np.int64), position
