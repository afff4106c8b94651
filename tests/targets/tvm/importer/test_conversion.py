"""What the lowering of one node is held to."""

import dataclasses

import numpy as np
import pytest

from targets.errors import TargetError
from targets.tvm.importer.registry import CONVERTERS
from tests.targets.support import assert_as_standard, make_component


def test_scalar_constants_stay_scalars(build):
    text = (
        """(float[2,3,4] x) => (a, b, c) { a = Gather<axis=1>(x, one) b = Mul(a, half) c = Transpose(s) }"""
    )
    constants = {"one": np.array(1), "half": np.array(0.5, np.float32), "s": np.array(3.0, np.float32)}
    component = make_component(text, constants)
    assert_as_standard(build(component), {"x": np.arange(24, dtype=np.float32).reshape(2, 3, 4)})


def test_an_unexpected_fault_names_the_node(build, monkeypatch):
    def fail(_call):
        raise IndexError("list index out of range")

    monkeypatch.setitem(CONVERTERS, "Relu", fail)
    with pytest.raises(TargetError, match="Relu cannot be lowered to CPU code in this form") as caught:
        build(make_component("(float[4] x) => (y) { y = Relu(x) }"))
    assert caught.value.where == "model, node y"
    assert caught.value.received == "Relu(FLOAT[4]): IndexError: list index out of range"


def test_a_result_of_another_shape_is_refused(build, monkeypatch):
    def flat(call):
        return call.builder.reshape(call[0], (4,))

    monkeypatch.setitem(CONVERTERS, "Relu", flat)
    with pytest.raises(TargetError, match="another shape or element type than the graph says"):
        build(make_component("(float[2,2] x) => (y) { y = Relu(x) }"))


def test_an_element_type_without_kernel_is_named(build):
    text = "(float[4] x) => (y) { d = Cast<to=11>(x) e = Exp(d) y = Cast<to=1>(e) }"
    with pytest.raises(
        TargetError, match=r"(?s)Exp cannot be lowered.*DOUBLE\[4\].*cast the input to float32"
    ):
        build(make_component(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(float[4] x) => (y, m) { y, m = Dropout(x) }", "Dropout .*output 1 .m. is not computed"),
        ("(float[2,4] x) => (y, m) { y, m = LayerNormalization(x, s) }", "output 1 .m. is not computed"),
        ("(float[4] x) => (y) { y = Dropout(x, ratio, training) }", "drops at random in training mode"),
    ],
)
def test_outputs_and_modes_without_kernel_are_named(build, text, message):
    constants = {"s": np.ones(4, np.float32), "ratio": np.array(0.5, np.float32), "training": np.array(True)}
    used = {
        name: value
        for name, value in constants.items()
        if name in text.replace(")", ",").replace(" ", ",").split(",")
    }
    with pytest.raises(TargetError, match=message):
        build(make_component(text, used))


def test_a_component_without_inputs_runs(build):
    built = build(make_component("(float[0] x) => (y) { y = ReduceSum(x) }"))
    with built.executor(time_limit_s=20) as execute:
        for _ in range(2):
            np.testing.assert_array_equal(execute({"x": np.zeros(0, np.float32)})["y"], [0])


@pytest.mark.parametrize("kind", ["e4m3fn", "e5m2"])
@pytest.mark.parametrize("saturate", [0, 1])
def test_fp8_saturates_only_where_asked(build, kind, saturate):
    to = {"e4m3fn": 17, "e5m2": 19}[kind]
    values = np.array(
        [448, 464, 465, 480, 57344, 61439, 61440, 1e9, -1e9, np.inf, -np.inf, np.nan, 0.1, -0.3], np.float32
    )
    text = (
        f"(float[{values.size}] x) => (y) {{ c = Cast<to={to}, saturate={saturate}>(x) y = Cast<to=1>(c) }}"
    )
    assert_as_standard(build(make_component(text)), {"x": values})


def test_rounding_inside_a_fused_quantiser(build):
    """MatMul, Sigmoid and a quantiser as ONNX Runtime's quantiser writes them."""
    rng = np.random.default_rng(0)
    text = """(float[4,32] x) => (y) { p = MatMul(x, w) q = QuantizeLinear(p, s, z) d = DequantizeLinear(q, s, z)
    a = Sigmoid(d) r = QuantizeLinear(a, s, z) y = DequantizeLinear(r, s, z) }"""
    constants = {
        "w": rng.standard_normal((32, 32)).astype(np.float32),
        "s": np.array(0.02, np.float32),
        "z": np.array(100, np.uint8),
    }
    built = build(make_component(text, constants))
    feeds = {"x": rng.standard_normal((4, 32)).astype(np.float32) / 8}
    np.testing.assert_allclose(built.run(feeds)["y"], built.reference(feeds)["y"], atol=0.0201)
    assert not dataclasses.asdict(built.compiled)["unscheduled"]
