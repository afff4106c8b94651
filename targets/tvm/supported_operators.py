"""Which ONNX operators have CPU code: known without TVM, which takes seconds to import."""

from __future__ import annotations

import onnx_ir as ir

STATIC = frozenset(("Constant", "ConstantOfShape", "Range", "Shape", "Size"))
"""Operators that are only ever evaluated at compile time."""

# fmt: off
CONVERTED = frozenset((
    "Abs", "Add", "And", "ArgMax", "ArgMin", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip",
    "Concat", "Conv", "Cos", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal",
    "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm",
    "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GroupNormalization", "HardSigmoid",
    "HardSwish", "Identity", "InstanceNormalization", "IsNaN", "LayerNormalization", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul",
    "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear", "RMSNormalization", "Reciprocal", "ReduceL1",
    "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round", "Sigmoid", "Sign", "Silu", "Sin", "Slice",
    "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh", "Tile", "Transpose",
    "Trilu", "Unsqueeze", "Where", "Xor",
))
# fmt: on
"""Operators with a converter in `targets.tvm.importer.operators`; a test compares the two."""


def is_supported(node: ir.Node) -> bool:
    """Whether there is a converter for the operator, or it is evaluated at compile time."""
    return node.domain in ("", "ai.onnx") and (node.op_type in CONVERTED or node.op_type in STATIC)
