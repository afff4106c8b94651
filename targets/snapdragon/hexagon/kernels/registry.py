"""Which kernel computes which operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from targets.snapdragon.hexagon.kernels.plain_convolution import plain_convolution
from targets.snapdragon.hexagon.kernels.writer import KernelCode
from targets.snapdragon.hexagon.operations.convolution import Convolution

PLAIN_KERNELS: Mapping[type, Callable[[Any], KernelCode]] = {
    Convolution: plain_convolution,
}

PACKED_KERNELS: Mapping[type, Callable[[Any], KernelCode]] = {}
"""All but the convolution, which also depends on how its input is padded."""
