"""Which converter an ONNX operator has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from targets.snapdragon.hexagon.importer.context import Converter
from targets.snapdragon.hexagon.importer.pooling import convert_average_pool, convert_max_pool
from targets.snapdragon.hexagon.importer.products import (
    convert_convolution,
    convert_difference,
    convert_multiplication,
    convert_product,
    convert_sum,
)
from targets.snapdragon.hexagon.importer.rows import convert_layer_norm, convert_mean, convert_softmax
from targets.snapdragon.hexagon.importer.shapes import convert_regrouping
from targets.snapdragon.hexagon.importer.tables import (
    attribute_function,
    clip,
    convert_with_number,
    elu,
    erf,
    gelu,
    hard_sigmoid,
    hard_swish,
    leaky_relu,
    sigmoid,
    swish,
    tabulated,
)

CONVERTERS: Mapping[str, Converter] = {
    "Abs": tabulated(np.abs),
    "Add": convert_sum,
    "AveragePool": convert_average_pool,
    "Clip": attribute_function(clip),
    "Conv": convert_convolution,
    "Div": convert_with_number,
    "Elu": attribute_function(elu),
    "Erf": tabulated(erf),
    "Exp": tabulated(np.exp),
    "Flatten": convert_regrouping,
    "Gelu": attribute_function(gelu),
    "Gemm": convert_product,
    "GlobalAveragePool": convert_mean,
    "GlobalMaxPool": convert_max_pool,
    "HardSigmoid": attribute_function(hard_sigmoid),
    "HardSwish": tabulated(hard_swish),
    "LayerNormalization": convert_layer_norm,
    "LeakyRelu": attribute_function(leaky_relu),
    "MatMul": convert_product,
    "Max": convert_with_number,
    "MaxPool": convert_max_pool,
    "Min": convert_with_number,
    "Mul": convert_multiplication,
    "Neg": tabulated(np.negative),
    "Pow": convert_with_number,
    "ReduceMean": convert_mean,
    "Reshape": convert_regrouping,
    "Sigmoid": tabulated(sigmoid),
    "Softmax": convert_softmax,
    "Sqrt": tabulated(np.sqrt),
    "Squeeze": convert_regrouping,
    "Sub": convert_difference,
    "Swish": tabulated(swish),
    "Tanh": tabulated(np.tanh),
    "Transpose": convert_regrouping,
    "Unsqueeze": convert_regrouping,
}

"""By ONNX operator. Relu is no entry: it belongs to the operation before it, or is a requantisation."""
