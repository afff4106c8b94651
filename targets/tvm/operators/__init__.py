"""One converter for each ONNX operator, by theme. Importing this package registers all of them."""

from targets.tvm.operators import (
    activation,
    compare,
    convolution,
    elementwise,
    indexing,
    matmul,
    normalization,
    pooling,
    quantize,
    reduce,
    shape,
    softmax,
)

__all__ = [
    "activation",
    "compare",
    "convolution",
    "elementwise",
    "indexing",
    "matmul",
    "normalization",
    "pooling",
    "quantize",
    "reduce",
    "shape",
    "softmax",
]
