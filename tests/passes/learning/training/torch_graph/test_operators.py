"""Every registered operator: its gradient by finite differences, its values against ONNX Runtime."""

import numpy as np
import pytest
import torch

import passes.learning.training.torch_graph.operators  # noqa: F401 - registers the operators
from passes.core.errors import PassError
from passes.learning.training.torch_graph.interpreter import TorchComponent
from passes.learning.training.torch_graph.program import executor
from passes.learning.training.torch_graph.registry import OPERATORS, Gradient
from passes.learning.training.torch_graph.weights import Weights
from program.onnx_executor import OnnxExecutor

X, XY = "float[2,3,4] x", "float[2,3,4] x, float[3,1] y"
IMAGE = "float[2,4,6,5] x"
POSITIVE = {"Log", "Sqrt", "Reciprocal", "Pow", "Mod"}

UNARY = ["Abs", "Acos", "Asin", "Atan", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish",
         "Identity", "LeakyRelu", "Log", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus",
         "Sqrt", "Tan", "Tanh", "Dropout"]  # fmt: skip
REDUCTIONS = ["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
              "ReduceSumSquare"]  # fmt: skip


def ints(name, *values):
    return f"{name} = Constant<value = int64[{len(values)}] {{{','.join(map(str, values))}}}>()"


CASES = {name: [(X, f"z = {name}(x)")] for name in UNARY}
CASES |= {
    name: [(XY, f"z = {name}(x, y)")] for name in ("Add", "Div", "Max", "Min", "Mul", "Sub", "Pow", "PRelu")
}
CASES |= {
    name: [(X, f"{ints('a', -1, 0)} z = {name}<keepdims=0>(x, a)"), (X, f"z = {name}(x)")]
    for name in REDUCTIONS
}
CASES |= {
    "Sum": [("float[2,3,4] x, float[3,1] y, float[4] w", "z = Sum(x, y, w)")],
    "Mod": [(XY, "z = Mod<fmod=1>(x, y)")],
    "Clip": [(X, "l = Constant<value = float {-0.3}>() h = Constant<value = float {0.4}>() z = Clip(x, l, h)")],
    "Where": [("float[2,3] x, float[3] y", "c = Greater(x, y) z = Where(c, x, y)")],
    "Cast": [(X, "z = Cast<to=1>(x)")],
    "Gelu": [(X, "z = Gelu(x)"), (X, 'z = Gelu<approximate="tanh">(x)')],
    "Swish": [(X, "z = Swish<alpha=1.5>(x)")],
    "Softmax": [(X, "z = Softmax(x)"), (X, "z = Softmax<axis=1>(x)")],
    "LogSoftmax": [(X, "z = LogSoftmax<axis=0>(x)")],
    "MatMul": [
        ("float[2,3,4] x, float[4,5] y", "z = MatMul(x, y)"),
        ("float[4] x, float[2,4,3] y", "z = MatMul(x, y)"),
    ],
    "Gemm": [
        ("float[3,4] x, float[5,4] y, float[5] w", "z = Gemm<transB=1, alpha=0.5, beta=2.0>(x, y, w)"),
        ("float[4,3] x, float[4,5] y", "z = Gemm<transA=1>(x, y)"),
    ],
    "Conv": [
        (f"{IMAGE}, float[6,2,3,3] w, float[6] b", "z = Conv<group=2, pads=[1,0,2,1], strides=[2,1]>(x, w, b)"),
        (f"{IMAGE}, float[3,4,3,2] w", 'z = Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)'),
        ("float[1,2,9] x, float[3,2,3] w", 'z = Conv<auto_pad="SAME_LOWER", strides=[2]>(x, w)'),
        ("float[1,2,3,4,4] x, float[2,2,2,2,2] w", "z = Conv(x, w)"),
    ],
    "MaxPool": [(IMAGE, "z = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(x)")],
    "AveragePool": [
        (IMAGE, "z = AveragePool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(x)"),
        (IMAGE, "z = AveragePool<kernel_shape=[2,2], pads=[1,1,0,0], count_include_pad=1>(x)"),
    ],
    "GlobalAveragePool": [(IMAGE, "z = GlobalAveragePool(x)")],
    "GlobalMaxPool": [(IMAGE, "z = GlobalMaxPool(x)")],
    "LayerNormalization": [
        ("float[2,3,4] x, float[4] w, float[4] b", "z = LayerNormalization<epsilon=1e-4>(x, w, b)"),
        ("float[2,3,4] x, float[3,4] w", "z = LayerNormalization<axis=1>(x, w)"),
    ],
    "RMSNormalization": [("float[2,3,4] x, float[4] w", "z = RMSNormalization<epsilon=1e-4>(x, w)")],
    "InstanceNormalization": [(f"{IMAGE}, float[4] w, float[4] b", "z = InstanceNormalization(x, w, b)")],
    "GroupNormalization": [(f"{IMAGE}, float[4] w, float[4] b", "z = GroupNormalization<num_groups=2>(x, w, b)")],
    "BatchNormalization": [
        (f"{IMAGE}, float[4] w, float[4] b, float[4] m, float[4] v0",
         "v = Exp(v0) z = BatchNormalization(x, w, b, m, v)"),
    ],
    "CumSum": [
        (X, "a = Constant<value = int64 {1}>() z = CumSum(x, a)"),
        (X, "a = Constant<value = int64 {-1}>() z = CumSum<exclusive=1, reverse=1>(x, a)"),
    ],
    "Reshape": [(X, f"{ints('s', 0, -1, 2)} z = Reshape(x, s)")],
    "Flatten": [(X, "z = Flatten<axis=2>(x)"), (X, "z = Flatten<axis=-1>(x)")],
    "Squeeze": [("float[1,3,1,2] x", f"{ints('a', -2)} z = Squeeze(x, a)"), ("float[1,3,1] x", "z = Squeeze(x)")],
    "Unsqueeze": [(X, f"{ints('a', -1, 1)} z = Unsqueeze(x, a)")],
    "Transpose": [(X, "z = Transpose<perm=[2,0,1]>(x)"), (X, "z = Transpose(x)")],
    "Expand": [("float[3,1] x", f"{ints('s', 2, 1, 4)} z = Expand(x, s)")],
    "Tile": [("float[2,3] x", f"{ints('r', 2, 3)} z = Tile(x, r)")],
    "Concat": [("float[2,3] x, float[2,1] y", "z = Concat<axis=-1>(x, y)")],
    "Split": [
        ("float[2,6] x", f"{ints('s', 1, 5)} u, z = Split<axis=1>(x, s)"),
        ("float[5,2] x", "z, u = Split<num_outputs=2>(x)"),
    ],
    "Slice": [
        (X, f"{ints('s', 1, -3)} {ints('e', 9, -1)} {ints('a', 1, 2)} z = Slice(x, s, e, a)"),
        (X, f"{ints('s', -1)} {ints('e', -99)} {ints('a', 2)} {ints('t', -2)} z = Slice(x, s, e, a, t)"),
    ],
    "Pad": [
        (X, f"{ints('p', 1, 0, 2, 0, 1, 0)} z = Pad(x, p)"),
        (X, f"{ints('p', 1, 2)} {ints('a', -1)} v = Constant<value = float {{0.5}}>() z = Pad(x, p, v, a)"),
    ],
    "Gather": [(X, f"{ints('i', 2, -1, 0, 2)} z = Gather<axis=1>(x, i)")],
    "GatherElements": [
        ("float[2,3] x", "i = Constant<value = int64[2,2] {0,-1,1,1}>() z = GatherElements<axis=1>(x, i)")
    ],
    "GatherND": [("float[2,3,4] x", "i = Constant<value = int64[3,2] {0,1,1,-1,0,1}>() z = GatherND(x, i)")],
}  # fmt: skip

WITHOUT_GRADIENT = {
    **{
        name: (XY, f"z = {name}(x, y)")
        for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")
    },
    **{name: (XY, f"a = Greater(x, y) b = Less(x, y) z = {name}(a, b)") for name in ("And", "Or", "Xor")},
    "Not": (XY, "a = Greater(x, y) z = Not(a)"),
    "IsNaN": (X, "a = Log(x) z = IsNaN(a)"),
    "ArgMax": (X, "r = Round(x) z = ArgMax<axis=1, keepdims=0>(r)"),
    "Shape": (X, "z = Shape<start=1>(x)"),
    "ConstantOfShape": (X, "s = Shape(x) z = ConstantOfShape<value = float[1] {1.5}>(s)"),
}
_NOT_IN_RUNTIME = {"Swish"}
"""An operator of opset 24."""


def of(gradient):
    return sorted(name for name, entry in OPERATORS.items() if entry.gradient is gradient)


def values(model, op_type, seed=0):
    rng = np.random.default_rng(seed)
    made = {}
    for value in model.graph.inputs:
        magnitude = rng.uniform(0.1, 0.9, value.shape.numpy())
        sign = 1 if op_type in POSITIVE else rng.choice([-1, 1], magnitude.shape)
        made[value.name] = magnitude * sign
    return made


def graph(parse, case, element="float", result="float"):
    inputs, body = case
    return parse(f"g ({inputs.replace('float', element)}) => ({result}[] z) {{ {body} }}")


@pytest.mark.parametrize("op_type", of(Gradient.EXACT))
def test_gradient_equals_finite_differences(parse, op_type):
    assert CASES.get(op_type), f"add a case for {op_type}"
    for case in CASES[op_type]:
        model = graph(parse, case)
        assert op_type in {node.op_type for node in model.graph}
        module = TorchComponent(model, weights=Weights(torch.float64))
        feeds = {k: torch.tensor(v, requires_grad=True) for k, v in values(model, op_type).items()}

        def run(*tensors, module=module, names=tuple(feeds)):
            return module(dict(zip(names, tensors, strict=True)))["z"]

        assert torch.autograd.gradcheck(run, tuple(feeds.values()), eps=1e-6, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("op_type", sorted({*of(Gradient.EXACT), *of(Gradient.NONE)} - _NOT_IN_RUNTIME))
def test_values_equal_onnx_runtime(parse, op_type):
    cases = CASES.get(op_type) or [WITHOUT_GRADIENT[op_type]]
    kinds = {"ArgMax": "int64", "Shape": "int64", "ConstantOfShape": "float"}
    result = kinds.get(op_type, "bool") if op_type in WITHOUT_GRADIENT else "float"
    for case in cases:
        model = graph(parse, case, result=result)
        feeds = {name: array.astype(np.float32) for name, array in values(model, op_type).items()}
        expected, received = OnnxExecutor(model)(feeds)["z"], executor(TorchComponent(model))(feeds)["z"]
        assert received.dtype == expected.dtype
        assert received.shape == expected.shape
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "op_type", ["Add", "Div", "Exp", "Gelu", "MatMul", "LayerNormalization", "Softmax", "Concat"]
)
def test_float16_results_are_rounded_once(parse, op_type):
    for case in CASES[op_type]:
        model = graph(parse, case, "float16", "float16")
        feeds = {name: array.astype(np.float16) for name, array in values(model, op_type).items()}
        expected, received = OnnxExecutor(model)(feeds)["z"], executor(TorchComponent(model))(feeds)["z"]
        assert received.dtype == np.float16
        # a sum in another order may fall on the other side of a rounding boundary: one unit in the last place
        difference = np.abs(received.view(np.int16).astype(int) - expected.view(np.int16).astype(int))
        assert difference.max() <= 1
        assert (difference == 0).mean() > 0.9


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ((IMAGE, "z = MaxPool<kernel_shape=[2,2], ceil_mode=1>(x)"), "ceil_mode"),
        (("float[2,3] x", f'{ints("p", 0, 1, 0, 1)} z = Pad<mode="edge">(x, p)'), "mode edge"),
        ((X, "z = ArgMax<select_last_index=1>(x)"), "select_last_index"),
        ((f"{IMAGE}, float[1,4,2,2] w", 'z = Conv<auto_pad="ANY">(x, w)'), "auto_pad ANY"),
    ],
)  # fmt: skip
def test_a_variant_without_a_rule_is_refused(parse, case, reason):
    model = graph(parse, case)
    feeds = {name: torch.tensor(array) for name, array in values(model, "").items()}
    with pytest.raises(PassError, match=reason):
        TorchComponent(model)(feeds)
