"""A float network as one of 8-bit units: products with their biases, layers with their ReLU, no 16 bits."""

import numpy as np

from passes.integer.choose_scheme import signal_to_noise
from passes.integer.fuse_bias import FuseBias
from passes.integer.merge_activation import MergeActivation
from passes.integer.quantised_graph import has_integer_weight, is_quantised, source_scheme
from passes.integer.scheme import Scheme
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.hexagon.legalize import quantise_for_vector_units
from tests.targets.support import make_component, random_feeds

RNG = np.random.default_rng(0)
CONSTANTS = {
    "w": RNG.normal(0, 0.2, (12, 6, 3)).astype(np.float32),
    "b": RNG.normal(0, 0.2, 12).astype(np.float32),
    "gain": RNG.normal(1, 0.2, 12).astype(np.float32),
    "shift": RNG.normal(0, 0.2, 12).astype(np.float32),
    "m": RNG.normal(0, 0.2, (12, 5)).astype(np.float32),
    "mb": RNG.normal(0, 0.2, 5).astype(np.float32),
}
TEXT = """(float[1,6,10] x) => (float[1,10,5] y) {
    c = Conv<pads=[1,1], kernel_shape=[3]>(x, w, b)
    r = Relu(c)
    t = Transpose<perm=[0,2,1]>(r)
    n = LayerNormalization<axis=-1>(t, gain, shift)
    p = MatMul(n, m)
    a = Add(p, mb)
    y = Softmax<axis=-1>(a)
}"""


def _network():
    return make_component(TEXT, CONSTANTS, "network")


def _operators(component):
    return [node.op_type for node in component.model.graph]


def test_the_quantised_network_has_units_of_8_bits_and_stays_close():
    component, feeds = _network(), [random_feeds(_network(), seed) for seed in range(4)]
    expected = [OnnxExecutor(component.model)(feed)["y"] for feed in feeds]
    assert not is_quantised(component.model)
    quantise_for_vector_units(component, feeds)
    actual = [OnnxExecutor(component.model)(feed)["y"] for feed in feeds]
    assert signal_to_noise(expected, actual) > 25
    assert is_quantised(component.model)
    assert source_scheme(component.model) is Scheme.A8W8
    layers = [node for node in component.model.graph if node.op_type in ("Conv", "Gemm")]
    assert [has_integer_weight(node) for node in layers] == [True, True]
    (relu,) = [node for node in component.model.graph if node.op_type == "Relu"]
    assert relu.inputs[0].producer().op_type == "Conv"
    (norm,) = [node for node in component.model.graph if node.op_type == "LayerNormalization"]
    assert norm.inputs[1].is_initializer()  # real numbers: they become part of a multiplier


def test_a_bias_joins_its_product():
    component = _network()
    feeds = random_feeds(component)
    expected = OnnxExecutor(component.model)(feeds)["y"]
    assert FuseBias()(component.model).modified
    assert _operators(component)[-4:] == ["Reshape", "Gemm", "Reshape", "Softmax"]
    np.testing.assert_allclose(OnnxExecutor(component.model)(feeds)["y"], expected, rtol=1e-5)
    assert not FuseBias()(component.model).modified


def test_the_sum_of_two_activations_stays():
    text = "(float[4,4] x) => (float[4,4] y) { p = MatMul(x, m)  y = Add(p, x) }"
    component = make_component(text, {"m": np.eye(4, dtype=np.float32)})
    assert not FuseBias()(component.model).modified


def test_a_relu_that_shares_its_input_keeps_the_rounding():
    text = """(float[4] x) => (float[4] y, float[4] z) {
        a = Add(x, x)
        q = QuantizeLinear(a, s, zero)  d = DequantizeLinear(q, s, zero)
        y = Relu(d)
        z = Neg(d)
    }"""
    steps = {"s": np.asarray(0.05, np.float32), "zero": np.asarray(117, np.uint8)}
    component = make_component(text, steps)
    assert not MergeActivation()(component.model).modified
    alone = make_component(text.replace(", float[4] z", "").replace("z = Neg(d)", ""), steps)
    assert MergeActivation()(alone.model).modified
    assert _operators(alone) == ["Add", "Relu"]
