"""One converter for each ONNX operator, by theme. Importing this package registers all of them."""

from targets.tvm.importer.operators import (
    activation,
    arithmetic,
    compare,
    convolution,
    elementwise,
    indexing,
    matmul,
    normalization,
    pooling,
    quantize,
    reduce,
    scan,
    shape,
    softmax,
)

__all__ = [
    "activation",
    "arithmetic",
    "compare",
    "convolution",
    "elementwise",
    "indexing",
    "matmul",
    "normalization",
    "pooling",
    "quantize",
    "reduce",
    "scan",
    "shape",
    "softmax",
]
