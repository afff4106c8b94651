"""Which kernel computes which operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from targets.snapdragon.hexagon.kernels.constant import packed_constant, plain_constant
from targets.snapdragon.hexagon.kernels.packed_broadcast import packed_broadcast
from targets.snapdragon.hexagon.kernels.packed_convolution import packed_convolution
from targets.snapdragon.hexagon.kernels.packed_elementwise import (
    packed_addition,
    packed_lookup,
    packed_multiplication,
    packed_requantization,
)
from targets.snapdragon.hexagon.kernels.packed_layer_norm import packed_layer_norm
from targets.snapdragon.hexagon.kernels.packed_max_pool import packed_max_pool
from targets.snapdragon.hexagon.kernels.packed_mean import packed_mean
from targets.snapdragon.hexagon.kernels.packed_softmax import packed_softmax
from targets.snapdragon.hexagon.kernels.plain_convolution import plain_convolution
from targets.snapdragon.hexagon.kernels.plain_elementwise import (
    plain_addition,
    plain_lookup,
    plain_multiplication,
    plain_requantization,
)
from targets.snapdragon.hexagon.kernels.plain_rows import plain_layer_norm, plain_mean, plain_softmax
from targets.snapdragon.hexagon.kernels.plain_window import plain_broadcast, plain_max_pool
from targets.snapdragon.hexagon.kernels.writer import KernelCode
from targets.snapdragon.hexagon.operations.addition import Addition
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.constant import Constant
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.operations.lookup import Lookup
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.operations.softmax import Softmax
from targets.snapdragon.hexagon.program.layout import BlockLayout

PLAIN_KERNELS: Mapping[type, Callable[[Any], KernelCode]] = {
    Addition: plain_addition,
    Broadcast: plain_broadcast,
    Constant: plain_constant,
    Convolution: plain_convolution,
    LayerNorm: plain_layer_norm,
    Lookup: plain_lookup,
    MaxPool: plain_max_pool,
    Mean: plain_mean,
    Multiplication: plain_multiplication,
    Requantization: plain_requantization,
    Softmax: plain_softmax,
}

PACKED_KERNELS: Mapping[type, Callable[[Any], KernelCode]] = {
    Addition: packed_addition,
    Broadcast: packed_broadcast,
    Constant: packed_constant,
    LayerNorm: packed_layer_norm,
    Lookup: packed_lookup,
    Mean: packed_mean,
    Multiplication: packed_multiplication,
    Requantization: packed_requantization,
    Softmax: packed_softmax,
}
"""All but those that slide a window."""

WINDOW_KERNELS: Mapping[type, Callable[[Any, BlockLayout], KernelCode]] = {
    Convolution: packed_convolution,
    MaxPool: packed_max_pool,
}
"""These also depend on how their input is padded."""
