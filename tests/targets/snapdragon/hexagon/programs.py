"""Programs of independent operations, so that many kernels need one build."""

import dataclasses

import numpy as np

from targets.snapdragon.hexagon.operations.addition import Addition
from targets.snapdragon.hexagon.operations.broadcast import Broadcast
from targets.snapdragon.hexagon.operations.constant import Constant
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.layer_norm import LayerNorm
from targets.snapdragon.hexagon.operations.lookup import Lookup
from targets.snapdragon.hexagon.operations.max_pool import MaxPool
from targets.snapdragon.hexagon.operations.mean import Mean
from targets.snapdragon.hexagon.operations.multiplication import Multiplication
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from targets.snapdragon.hexagon.operations.requantization import Requantization
from targets.snapdragon.hexagon.operations.softmax import Softmax
from targets.snapdragon.hexagon.program.fixed_point import fixed_point_scale
from targets.snapdragon.hexagon.program.program import IntegerProgram
from targets.snapdragon.hexagon.program.tensor import QuantizedTensor

X_SCALE, X_ZERO = 0.05, 117


def convolution(name, source, outputs, kernel, strides=(1, 1), pads=(0, 0, 0, 0), minimum=0):
    """Random weights with a scale that spreads the results over the codes."""
    rng = np.random.default_rng(len(name))
    weights = rng.integers(-127, 128, (outputs, source.channels, *kernel)).astype(np.int8)
    spans = (pads[0] + pads[2], pads[1] + pads[3])
    extents = [
        (extent + span - size) // stride + 1
        for extent, span, size, stride in zip(source.extents[1:], spans, kernel, strides, strict=True)
    ]
    shape = (1, outputs, *extents) if len(source.shape) == 4 else (*source.shape[:-1], outputs)
    output = QuantizedTensor(f"{name}.out", shape, source.channel_axis, 0.3, 100)
    sums = weights.astype(np.int64).sum(axis=(1, 2, 3))
    bias = (rng.integers(-3000, 3000, outputs) - source.zero_point * sums).astype(np.int32)
    factors = rng.uniform(0.4, 0.9, outputs) / np.sqrt(source.channels * kernel[0] * kernel[1]) / 100
    scale = fixed_point_scale(factors)
    return Convolution(name, source, output, weights, bias, scale, strides, pads, minimum=minimum)


def depthwise(name, source, kernel, strides=(1, 1), pads=(0, 0, 0, 0), minimum=0):
    """A convolution whose channels do not mix."""
    dense = convolution(name, source, source.channels, kernel, strides, pads, minimum)
    weights = dense.weights[:, :1]
    bias = (1000 - source.zero_point * weights.astype(np.int64).sum(axis=(1, 2, 3))).astype(np.int32)
    scale = fixed_point_scale(np.full(source.channels, 0.004))
    return dataclasses.replace(dense, weights=weights, bias=bias, scale=scale, groups=source.channels)


def rows(prefix, shape, axis):
    """Every operation but the convolution, on two tensors of one shape."""
    x = QuantizedTensor(f"{prefix}.x", shape, axis, X_SCALE, X_ZERO)
    y = QuantizedTensor(f"{prefix}.y", shape, axis, 0.03, 90)
    channels = shape[axis]
    rng = np.random.default_rng(channels)
    means = tuple(extent if i == axis else 1 for i, extent in enumerate(shape))

    def output(name, scale, zero_point, extents=shape):
        return QuantizedTensor(f"{prefix}.{name}", extents, axis, scale, zero_point)

    gain, shift = rng.normal(1, 0.5, channels), rng.normal(0, 1, channels)
    return [
        Addition(f"{prefix}.add", x, y, output("sum", 0.08, 100)),
        Multiplication(f"{prefix}.mul", x, y, output("product", 0.1, 128), 128),
        Requantization(f"{prefix}.relu", x, output("relu", 0.04, 10), 10),
        Lookup(f"{prefix}.table", x, output("entry", 0.02, 5), rng.permutation(256).astype(np.uint8)),
        Softmax(f"{prefix}.softmax", x, output("probability", 1 / 255, 0)),
        LayerNorm(f"{prefix}.norm", x, output("normal", 0.03, 128), gain, shift, 1e-5),
        Mean(f"{prefix}.mean", x, output("mean", 0.03, 120, means)),
    ]


def program(name, operations):
    """Independent operations as one program; what none of them writes is an input."""
    written = {operation.output for operation in operations}
    inputs = dict.fromkeys(s for operation in operations for s in operation.sources if s not in written)
    return IntegerProgram(name, tuple(inputs), tuple(operations), tuple(o.output for o in operations))


def convolutions():
    """Products and convolutions: full and partial blocks, one position, strides, padding, a ReLU."""

    def image(name, channels, height, width):
        return QuantizedTensor(name, (1, channels, height, width), 1, X_SCALE, X_ZERO)

    def matrix(name, height, width):
        return QuantizedTensor(name, (height, width), 1, X_SCALE, X_ZERO)

    return [
        convolution("matmul", matrix("a", 13, 40), 64, (1, 1)),
        convolution("vector", matrix("b", 1, 100), 70, (1, 1), minimum=100),
        convolution("image", image("d", 3, 6, 7), 33, (3, 3), (1, 2), (1, 1, 1, 1), 100),
        convolution("whole", image("e", 20, 3, 3), 130, (3, 3)),
        depthwise("depthwise", image("f", 70, 5, 6), (3, 3), (1, 1), (1, 1, 1, 1), 90),
        depthwise("strided", image("g", 33, 7, 9), (3, 2), (2, 2), (1, 0, 1, 1)),
        depthwise("depthwise.whole", image("h", 40, 2, 3), (2, 3)),
    ]


def pools():
    """Windows over full and partial blocks and columns: steps of one and two, padding, dilation, one position."""

    def pool(name, channels, extents, kernel, strides, pads, dilations=(1, 1)):
        source = QuantizedTensor(f"{name}.in", (1, channels, *extents), 1, X_SCALE, X_ZERO)
        sizes = [
            (extent + pads[axis] + pads[axis + 2] - (kernel[axis] - 1) * dilations[axis] - 1) // strides[axis]
            + 1
            for axis, extent in enumerate(extents)
        ]
        output = dataclasses.replace(source, name=f"{name}.out", shape=(1, channels, *sizes))
        return MaxPool(name, source, output, kernel, strides, pads, dilations)

    return [
        pool("pool.stem", 40, (7, 9), (3, 3), (2, 2), (1, 1, 1, 1)),
        pool("pool.slides", 64, (4, 7), (3, 2), (1, 1), (1, 0, 1, 1)),
        pool("pool.gaps", 5, (6, 10), (2, 2), (1, 3), (0, 0, 0, 0), (2, 3)),
        pool("pool.whole", 150, (3, 6), (2, 2), (1, 1), (0, 0, 0, 0), (2, 5)),
    ]


def broadcasts():
    """An operand repeated along channels, rows and columns, alone and together, and along a single position."""

    def repeat(name, source, output):
        tensors = (
            QuantizedTensor(f"{name}.{end}", (1, *extents), 1, X_SCALE, X_ZERO)
            for end, extents in (("in", source), ("out", output))
        )
        return Broadcast(name, *tensors)

    whole = (70, 3, 6)
    sources = ((1, 3, 6), (70, 1, 6), (70, 3, 1), (70, 1, 1), (1, 1, 1))
    operations = [repeat(f"repeat.{number}", source, whole) for number, source in enumerate(sources)]
    return [*operations, repeat("repeat.vector", (1, 1, 1), (150, 1, 1))]


def constants():
    """Operands that are no input: one number a channel, a row of numbers, a whole image."""

    def constant(name, shape):
        codes = np.random.default_rng(len(name)).integers(0, 256, shape).astype(np.uint8)
        return Constant(name, QuantizedTensor(f"{name}.out", shape, 1, X_SCALE, X_ZERO), codes)

    shapes = {"channels": (1, 70, 1, 1), "row": (1, 1, 1, 6), "image": (1, 70, 3, 6)}
    return [constant(f"constant.{name}", shape) for name, shape in shapes.items()]


def moves():
    """A change of shape, and a transposition that only moves the channel axis."""
    x = QuantizedTensor("m.x", (1, 35, 3, 5), 1, X_SCALE, X_ZERO)
    flat = dataclasses.replace(x, name="m.flat", shape=(1, 525))
    last = dataclasses.replace(x, name="m.last", shape=(1, 3, 5, 35), channel_axis=3)
    return [Regrouping("m.flatten", x, flat), Regrouping("m.transpose", x, last, (0, 2, 3, 1))]
