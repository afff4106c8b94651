"""Products of drawn shapes: each is scheduled, and right."""

import numpy as np
import onnx_ir as ir

from npuc.compare.bounds import FP8_SIGNAL_TO_NOISE
from program.agreement import relative_error, signal_to_noise
from tests.targets.support import AARCH64, fp8_tensor, make_component, random_feeds


def _drawn_product(rng, number):
    rows, depth, columns = (
        int(rng.choice(extents)) for extents in ([1, 3, 4, 7, 8, 33], [1, 4, 13, 16, 20], [1, 6, 17, 64])
    )
    batch = [int(extent) for extent in rng.choice([1, 2, 3], rng.integers(0, 3))]
    transposed = bool(rng.random() < 0.4)
    right = [*batch, columns, depth] if transposed else [*batch, depth, columns]
    order = [*range(len(batch)), len(batch) + 1, len(batch)]
    inputs = f"float{[*batch, rows, depth]} a{number}, float{right} b{number}"
    turn = (
        f"t{number} = Transpose<perm={order}>(b{number})"
        if transposed
        else f"t{number} = Identity(b{number})"
    )
    return inputs, f"{turn} m{number} = MatMul(a{number}, t{number}) y{number} = Relu(m{number})"


def test_products_of_any_shape_are_scheduled_and_right(build):
    rng = np.random.default_rng(99)
    drawn = [_drawn_product(rng, number) for number in range(16)]
    inputs, nodes = ", ".join(i for i, _ in drawn), " ".join(n for _, n in drawn)
    outputs = ", ".join(f"y{number}" for number in range(len(drawn)))
    built = build(make_component(f"({inputs}) => ({outputs}) {{ {nodes} }}"))
    feeds = random_feeds(built.component)
    reference, actual = built.reference(feeds), built.run(feeds)
    assert {
        name: e for name in reference if (e := relative_error(reference[name], actual[name])) > 2e-6
    } == {}
    assert built.compiled.unscheduled == ()


def test_two_fused_convolutions_with_gelu_between_fp8(build):
    """TVM's elimination of common subexpressions moved a binding out of reach here; LLVM refused the module."""
    rng = np.random.default_rng(0)
    component = make_component(
        "(float16[1,48,64] x) => (float16[1,64,32] y) {"
        " f = DequantizeLinear<axis=0>(wq, ws)  a = Conv<pads=[2,2], strides=[2], kernel_shape=[5]>(x, f, b)"
        " g = Gelu(a)  q = QuantizeLinear(g, s, z)  y = DequantizeLinear(q, s, z) }",
        {
            "wq": fp8_tensor(
                rng.integers(0, 0x58, (64, 48, 5)).astype(np.uint8), ir.DataType.FLOAT8E4M3FN, "wq"
            ),
            "ws": np.full(64, 0.01, np.float16),
            "b": rng.standard_normal(64).astype(np.float16),
            "s": np.asarray(0.02, np.float16),
            "z": fp8_tensor(np.zeros((), np.uint8), ir.DataType.FLOAT8E4M3FN, "z"),
        },
    )
    built = build(component, AARCH64)
    feeds = random_feeds(component)
    assert signal_to_noise(built.reference(feeds)["y"], built.run(feeds)["y"]) > FP8_SIGNAL_TO_NOISE
