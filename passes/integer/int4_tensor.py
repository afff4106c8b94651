"""A lazily computed tensor of 4-bit integers, written packed."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from program.lazy_tensor import BlockwiseTensor
from program.program import Array


class Int4Tensor(BlockwiseTensor):
    """Rows of `int4`, two elements a byte, the first in the low bits, as ONNX stores them.

    Rows are computed with one element a byte; an element that has no partner in its block waits for the next one.
    """

    __slots__ = ()

    def tofile(self, file: BinaryIO) -> None:
        """Writes the packed bytes, holding one block at a time; the last byte of an odd number is half empty."""
        waiting: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)
        for block in self.blocks():
            nibbles = np.concatenate([waiting, _nibbles(block)])
            even = len(nibbles) // 2 * 2
            file.write(pack(nibbles[:even]).data)
            waiting = nibbles[even:]
        if len(waiting):
            file.write(pack(np.concatenate([waiting, np.zeros(1, np.uint8)])).data)


def pack(nibbles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Packs an even number of 4-bit codes (0 to 15, two's complement)."""
    return np.asarray(nibbles[0::2] | (nibbles[1::2] << 4), np.uint8)


def _nibbles(block: Array) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(block).reshape(-1).view(np.uint8) & np.uint8(0xF)
