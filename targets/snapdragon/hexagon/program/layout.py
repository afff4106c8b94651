"""The packed layouts: 128 bytes, one HVX register, always belong together.

Activations [channels, height, width] are stored in blocks of 32 channels, [block, height, column, 32]: four columns
make one register. Rows are filled up to a multiple of four columns. A single position is stored as [block, 32] with a
multiple of four blocks. What fills up rows and channels has no meaning and no kernel may depend on it.

Weights are stored as [output block, kernel row, kernel column, input block, 8, 32, 4]: each register holds, for 32
output channels, the four input channels that `vrmpy` multiplies with one word of activations.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from program.program import Array

BLOCK = 32
"""Channels of a block: the words of a register."""

COLUMNS = 4
"""Columns that share a register, and blocks of a single position that do."""

DEPTH = 4
"""Input channels `vrmpy` sums at once."""


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


@dataclasses.dataclass(frozen=True)
class BlockLayout:
    """Where the activations of [channels, height, width] lie.

    Attributes:
        channels: Valid channels.
        height: Rows.
        width: Valid columns.
    """

    channels: int
    height: int
    width: int

    @property
    def single(self) -> bool:
        """Whether there is only one position."""
        return self.height * self.width == 1

    @property
    def blocks(self) -> int:
        """Blocks of channels."""
        blocks = round_up(self.channels, BLOCK) // BLOCK
        return round_up(blocks, COLUMNS) if self.single else blocks

    @property
    def columns(self) -> int:
        """Stored columns of a row."""
        return 1 if self.single else round_up(self.width, COLUMNS)

    @property
    def nbytes(self) -> int:
        """Stored bytes, a multiple of 128."""
        return self.blocks * self.height * self.columns * BLOCK

    def pack(self, planes: Array) -> Array:
        """[channels, height, width] → [blocks, height, columns, 32], filled with zeros."""
        stored = np.zeros((self.blocks * BLOCK, self.height, self.columns), planes.dtype)
        stored[: self.channels, :, : self.width] = planes
        blocked = stored.reshape(self.blocks, BLOCK, self.height, self.columns)
        return np.ascontiguousarray(blocked.transpose(0, 2, 3, 1))

    def unpack(self, stored: Array) -> Array:
        """Undoes `pack`."""
        blocked = stored.reshape(self.blocks, self.height, self.columns, BLOCK).transpose(0, 3, 1, 2)
        planes = blocked.reshape(self.blocks * BLOCK, self.height, self.columns)
        return np.ascontiguousarray(planes[: self.channels, :, : self.width])


def pack_weights(weights: Array, input_blocks: int, output_blocks: int) -> Array:
    """[outputs, inputs, rows, columns] int8 → [output block, row, column, input block, 8, 32, 4], filled with zeros.

    Zero weights make whatever fills up the activations harmless.
    """
    outputs, inputs, rows, columns = weights.shape
    filled = np.zeros((output_blocks * BLOCK, input_blocks * BLOCK, rows, columns), np.int8)
    filled[:outputs, :inputs] = weights
    words = BLOCK // DEPTH
    split = filled.reshape(output_blocks, BLOCK, input_blocks, words, DEPTH, rows, columns)
    return np.ascontiguousarray(split.transpose(0, 5, 6, 2, 3, 1, 4))


def is_block_diagonal(weights: Array) -> bool:
    """Whether the outputs of a block read the inputs of the same block only, as in a depthwise convolution."""
    outputs, inputs = np.nonzero(weights.any(axis=(2, 3)))
    return weights.shape[0] == weights.shape[1] and bool((outputs // BLOCK == inputs // BLOCK).all())


def pack_diagonal_weights(weights: Array, blocks: int) -> Array:
    """Like `pack_weights` for block-diagonal weights: each block of outputs has its own block of inputs alone."""
    channels = len(weights)
    near = np.zeros((channels, BLOCK, *weights.shape[2:]), np.int8)
    for start in range(0, channels, BLOCK):
        part = weights[start : start + BLOCK, start : start + BLOCK]
        near[start : start + BLOCK, : part.shape[1]] = part
    return pack_weights(near, 1, blocks)


def pack_channels(values: Array, blocks: int, fill: int) -> Array:
    """[channels] int32, or one for all, → [blocks · 32]."""
    stored = np.full(blocks * BLOCK, fill, np.int32)
    if values.size == 1:
        stored[:] = values.reshape(())
    else:
        stored[: values.size] = values
    return stored
