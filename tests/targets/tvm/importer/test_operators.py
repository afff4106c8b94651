"""Every operator, compiled for this machine's CPU through the emitted C, against ONNX Runtime."""

import numpy as np
import pytest

from program.agreement import relative_error
from targets.errors import TargetError
from tests.targets.support import AARCH64, X86, make_component, random_feeds

_RNG = np.random.default_rng(11)


def _normal(*shape):
    return _RNG.standard_normal(shape).astype(np.float32)


UNARY = [
    "Sqrt(p)",
    "Reciprocal(p)",
    "Neg(x)",
    "Abs(x)",
    "Exp(x)",
    "Log(p)",
    "Erf(x)",
    "Tanh(x)",
    "Sigmoid(x)",
    "Relu(x)",
    "Gelu(x)",
    'Gelu<approximate="tanh">(x)',
    "HardSwish(x)",
    "HardSigmoid(x)",
    "LeakyRelu(x)",
    "Elu(x)",
    "Softplus(x)",
    "Sin(x)",
    "Cos(x)",
    "Floor(x)",
    "Ceil(x)",
    "Round(x)",
    "Sign(x)",
    "Softmax(x)",
    "LogSoftmax<axis=1>(x)",
    "LpNormalization(x)",
    "ReduceMean(x, two)",
    "ReduceSum<keepdims=0>(x, two)",
    "ReduceMax(x, two)",
    "ReduceMin(x)",
    "ReduceProd(p, two)",
    "ReduceL2(x, two)",
    "ReduceL1(x, two)",
    "ReduceSumSquare(x, two)",
    "ReduceLogSumExp(x, two)",
    "CumSum(x, one)",
    "CumSum<exclusive=1,reverse=1>(x, one)",
]
BINARY = [
    "Add(x, r)",
    "Sub(x, r)",
    "Mul(x, r)",
    "Div(x, p)",
    "Pow(p, r)",
    "Pow(x, square)",
    "Pow(p, root)",
    "Max(x, r, p)",
    "Min(x, r)",
    "Sum(x, r, p)",
    "PRelu(x, r)",
    "Clip(x, low, high)",
    "Mod<fmod=1>(x, p)",
    "Where(c, x, r)",
    "LayerNormalization(x, s, s)",
    "RMSNormalization(x, s)",
    "BatchNormalization(x, t, t, t, t2)",
    "InstanceNormalization(x, t, t)",
    "GroupNormalization<num_groups=2>(x, t, t)",
]
MOVING = [
    "Transpose<perm=[2, 0, 1]>(x)", "Reshape(x, shape)", "Flatten<axis=2>(x)", "Squeeze(Y)", "Unsqueeze(x, ends)",
    "Expand(r, big)", "Tile(x, reps)", "Concat<axis=1>(x, x, p)", "Slice(x, starts, stops, axes, steps)",
    "Slice(x, back, front, last, minus)", "Gather<axis=1>(x, idx)", "GatherElements<axis=1>(x, element)",
    "GatherND(x, nd)", "Pad(x, pads)", 'Pad<mode="reflect">(x, pads)', 'Pad<mode="edge">(x, pads)', "Trilu(x)",
    "Trilu<upper=0>(x, minus)", "Identity(x)",
]  # fmt: skip
CONSTANTS = {
    "two": np.array([2]), "one": np.array(1), "square": np.array(2.0, np.float32), "root": np.array(-0.5, np.float32),
    "low": np.array(-0.5, np.float32), "high": np.array(0.75, np.float32), "s": _normal(10), "t": _normal(6),
    "t2": np.abs(_normal(6)), "shape": np.array([0, -1]), "ends": np.array([0, -1]), "big": np.array([2, 6, 10]),
    "reps": np.array([1, 2, 3]), "starts": np.array([1, -4]), "stops": np.array([9, 100]), "axes": np.array([1, 2]),
    "steps": np.array([2, 1]), "back": np.array([-1]), "front": np.array([-9223372036854775807]),
    "last": np.array([2]), "minus": np.array([-1]), "idx": np.array([[0, -1], [2, 3]]),
    "element": np.zeros((2, 1, 10), np.int64) - 2, "nd": np.array([[0, 3], [1, 5]]),
    "pads": np.array([0, 1, 2, 0, 2, 1]),
}  # fmt: skip


def _many(expressions, element):
    """One component with an output for each expression over x, p > 0 and a row r of the given element type."""
    # shape inference knows nothing of operators that are functions
    outputs = ", ".join(
        f"{element}[2, 6, 10] y{i}" if expression.startswith("Group") else f"y{i}"
        for i, expression in enumerate(expressions)
    )
    nodes = " ".join(f"y{i} = {expression}" for i, expression in enumerate(expressions))
    text = f"({element}[2, 6, 10] x, {element}[2, 6, 10] p, {element}[10] r) => ({outputs}) {{ c = Greater(x, r) "
    nodes = f"Y = Unsqueeze(x, ends) {nodes}"
    used = {
        key: value.astype(np.float16) if element == "float16" and value.dtype == np.float32 else value
        for key, value in CONSTANTS.items()
        if f" {key}" in nodes or f"({key}" in nodes
    }
    return make_component(f"{text} {nodes} }}", used)


def _compare(build, component, bound, cpu=X86):
    feeds = random_feeds(component)
    if "p" in feeds:
        feeds["p"] = np.abs(feeds["p"]) + feeds["p"].dtype.type(0.5)
    built = build(component, cpu)
    reference, actual = built.reference(feeds), built.run(feeds)
    errors = {name: relative_error(reference[name], actual[name]) for name in reference}
    producers = {value.name: str(value.producer()) for value in component.model.graph.outputs}
    assert {producers[name]: error for name, error in errors.items() if not error <= bound} == {}
    return built


@pytest.mark.parametrize("group", [UNARY, BINARY, MOVING], ids=["unary", "binary", "moving"])
def test_float32_operators_agree_with_onnxruntime(build, group):
    _compare(build, _many(group, "float"), 2e-6)


@pytest.mark.parametrize("group", [UNARY, BINARY], ids=["unary", "binary"])
def test_float16_operators_round_once_as_onnxruntime(build, group):
    # one float16 step of the largest element: both round a float32 result that may differ in its last bits
    expressions = [e for e in group if not e.startswith(("CumSum", "Mod", "ReduceProd"))]
    _compare(build, _many(expressions, "float16"), 2**-10)


def test_aarch64_binary_agrees_with_onnxruntime(build):
    _compare(build, _many([*UNARY[:20], *BINARY[:12]], "float"), 2e-6, AARCH64)


PRODUCTS = {
    "batched": ("(float[2,3,8,16] a, float[3,16,12] b) => (y) { y = MatMul(a, b) }", {}),
    "vector": ("(float[16] a, float[2,16,5] b) => (y) { y = MatMul(a, b) }", {}),
    "prime extents": ("(float[1,7,13] a, float[13,97] b) => (y) { y = MatMul(a, b) }", {}),
    "transposed weight": (
        "(float[1,4,32] a) => (y) { t = Transpose(w) y = MatMul(a, t) }",
        {"w": _normal(24, 32)},
    ),
    "transposed key": (
        "(float[1,2,4,16] a, float[1,2,9,16] b) => (y) { t = Transpose<perm=[0,1,3,2]>(b) y = MatMul(a, t) }",
        {},
    ),
    "gemm": (
        "(float[5,12] a) => (y) { y = Gemm<transB=1, alpha=0.5, beta=2.0>(a, w, b) }",
        {"w": _normal(20, 12), "b": _normal(20)},
    ),
    "epilogue": (
        "(float[1,8,32] a, float[1,8,64] r) => (y) { p = MatMul(a, w) q = Add(p, b) s = Gelu(q) y = Add(s, r) }",
        {"w": _normal(32, 64), "b": _normal(64)},
    ),
    "conv 1d": (
        "(float[1,6,20] a) => (y) { y = Conv<pads=[1,1], strides=[2]>(a, w, b) }",
        {"w": _normal(8, 6, 3), "b": _normal(8)},
    ),
    "conv 2d groups": (
        "(float[1,8,9,12] a) => (y) { y = Conv<pads=[1,2,1,2], dilations=[1,2], group=4>(a, w) }",
        {"w": _normal(12, 2, 3, 3)},
    ),
    "conv 3d patches": (
        "(float[4,3,2,8,8] a) => (y) { y = Conv<strides=[2,4,4]>(a, w, b) }",
        {"w": _normal(16, 3, 2, 4, 4), "b": _normal(16)},
    ),
    "pools": (
        "(float[1,4,9,11] a) => (y, z, g, m, h) { y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(a) "
        "z = AveragePool<kernel_shape=[3,2], pads=[1,0,1,1], strides=[2,2], ceil_mode=1>(a) "
        "g = GlobalAveragePool(a) m = AveragePool<kernel_shape=[2,2], pads=[1,1,1,1], count_include_pad=1>(a) "
        "h = GlobalMaxPool(a) }",
        {},
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_scheduled_and_agree(build, name):
    text, initializers = PRODUCTS[name]
    built = _compare(build, make_component(text, initializers), 2e-6)
    assert built.compiled.unscheduled == ()


def test_integer_and_logic_operators_are_exact(build):
    text = (
        "(float[3,8] x, int64[3,8] i, int64[3,8] j, bool[3,8] b) => (a, d, m, e, l, n, o, am, al, s0, s1, f, w, sh) { "
        "a = Add(i, j) d = Div(i, k) m = Mod(i, k) e = Equal(i, j) l = LessOrEqual(i, j) n = Not(b) o = Or(b, e) "
        "am = ArgMax<axis=1>(x) al = ArgMin<axis=0, keepdims=0>(x) s0, s1 = Split<axis=1>(i, parts) "
        "f = Cast<to=1>(i) w = Cast<to=7>(x) q = Shape(x) sh = Expand(q, two) }"
    )
    constants = {"k": np.array(3), "parts": np.array([3, 5]), "two": np.array([2, 2])}
    _compare(build, make_component(text, constants), 0.0)


def test_shape_arithmetic_is_folded(build):
    text = (
        "(float[2,3,4] x) => (y) { s = Shape(x) h = Gather(s, zero) t = Unsqueeze(h, axes) v = Concat<axis=0>(t, rest) "
        "y = Reshape(x, v) }"
    )
    constants = {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1])}
    built = _compare(build, make_component(text, constants), 0.0)
    assert built.compiled.kernels == ("reshape",)


def test_unknown_operator_is_named_with_component_and_node(build):
    component = make_component("(float[4] x) => (y) { z = Relu(x) y = Mish(z) }")
    with pytest.raises(TargetError, match=r"ai\.onnx::Mish has no CPU kernel") as caught:
        build(component)
    assert "model, node" in caught.value.where
    assert caught.value.exit_code == 3


def test_dynamic_shape_is_refused(build):
    with pytest.raises(TargetError, match="dynamic shape"):
        build(make_component("(float[N] x) => (y) { y = Relu(x) }"))


def test_run_time_reshape_is_refused(build):
    with pytest.raises(TargetError, match="must be a constant"):
        build(make_component("(float[4] x, int64[2] s) => (float[2,2] y) { y = Reshape(x, s) }"))
