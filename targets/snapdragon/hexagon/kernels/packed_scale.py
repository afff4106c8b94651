"""Fixed-point scaling of registers, by constants of each channel or of a row."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from targets.snapdragon.hexagon.kernels import hvx
from targets.snapdragon.hexagon.kernels.writer import KernelWriter
from targets.snapdragon.hexagon.program.fixed_point import FixedPointScale
from targets.snapdragon.hexagon.program.layout import BLOCK, pack_channels


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelScale:
    """Arguments that hold a scale for every channel, 32 to a register.

    Attributes:
        multiplier: int32 buffer.
        rounding: int32 buffer.
        shift: int32 buffer.
        left_shift: For all.
    """

    multiplier: Any
    rounding: Any
    shift: Any
    left_shift: int

    def apply(self, words: Any, block: Any) -> Any:
        """Scales the 32 channels of a block."""
        at = block * BLOCK
        multiplier, rounding, shift = (
            hvx.load(buffer, at) for buffer in (self.multiplier, self.rounding, self.shift)
        )
        return scaled(words, multiplier, rounding, shift, self.left_shift)


def declare_scale(writer: KernelWriter, scale: FixedPointScale, blocks: int) -> ChannelScale:
    """Makes the scale an argument of the kernel."""
    multiplier, rounding, shift = (
        writer.constant(pack_channels(values, blocks, fill))
        for values, fill in ((scale.multiplier, 0), (scale.rounding, 1), (scale.right_shift, 1))
    )
    return ChannelScale(multiplier, rounding, shift, scale.left_shift)


def scaled(words: Any, multiplier: Any, rounding: Any, shift: Any, left_shift: int) -> Any:
    """`FixedPointScale.apply` on a register: the product's floor, then one rounding shift."""
    raised = words << hvx.splat(left_shift) if left_shift else words
    return (hvx.high_multiply(raised, multiplier) + rounding) >> shift


def scaled_equally(words: Any, scale: FixedPointScale) -> Any:
    """`FixedPointScale.apply` with one factor for all channels, which is part of the code."""
    multiplier, rounding, shift = (
        hvx.splat(int(np.ravel(values)[0]))
        for values in (scale.multiplier, scale.rounding, scale.right_shift)
    )
    return scaled(words, multiplier, rounding, shift, scale.left_shift)
