"""Which converter an ONNX operator has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import special

from targets.snapdragon.hexagon.importer.context import Converter
from targets.snapdragon.hexagon.importer.elementwise import (
    convert_gelu,
    convert_multiplication,
    hard_swish,
    swish,
    tabulated,
)
from targets.snapdragon.hexagon.importer.pooling import convert_average_pool, convert_max_pool
from targets.snapdragon.hexagon.importer.products import convert_convolution, convert_product, convert_sum
from targets.snapdragon.hexagon.importer.rows import convert_layer_norm, convert_mean, convert_softmax
from targets.snapdragon.hexagon.importer.shapes import convert_regrouping

CONVERTERS: Mapping[str, Converter] = {
    "Add": convert_sum,
    "AveragePool": convert_average_pool,
    "Conv": convert_convolution,
    "Flatten": convert_regrouping,
    "Gelu": convert_gelu,
    "Gemm": convert_product,
    "GlobalAveragePool": convert_mean,
    "GlobalMaxPool": convert_max_pool,
    "HardSwish": tabulated(hard_swish),
    "LayerNormalization": convert_layer_norm,
    "MatMul": convert_product,
    "MaxPool": convert_max_pool,
    "Mul": convert_multiplication,
    "ReduceMean": convert_mean,
    "Reshape": convert_regrouping,
    "Sigmoid": tabulated(special.expit),
    "Softmax": convert_softmax,
    "Squeeze": convert_regrouping,
    "Swish": tabulated(swish),
    "Tanh": tabulated(np.tanh),
    "Transpose": convert_regrouping,
    "Unsqueeze": convert_regrouping,
}

"""By ONNX operator. Relu is no entry: it belongs to the operation before it, or is a requantisation."""
