"""One torch function for each ONNX operator, by theme. Importing this package registers all of them."""

from passes.learning.training.torch_graph.operators import (
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
    slicing,
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
    "slicing",
]
