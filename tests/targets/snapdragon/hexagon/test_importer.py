"""Quantised ONNX graphs as integer programs."""

import numpy as np
import pytest

from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.errors import TargetError
from targets.snapdragon.hexagon.coverage import hexagon_refusal
from targets.snapdragon.hexagon.importer.component import import_integer_program
from targets.snapdragon.hexagon.operations.convolution import Convolution
from targets.snapdragon.hexagon.operations.regrouping import Regrouping
from tests.targets.snapdragon.hexagon.graphs import SCALE, ZERO, network
from tests.targets.support import make_component, random_feeds

STEPS = {"s": SCALE, "z": ZERO, "zs": np.asarray(3, np.int8)}
BEFORE = "xq = QuantizeLinear(x, s, z)  xd = DequantizeLinear(xq, s, z)"
AFTER = "vq = QuantizeLinear(v, s, z)  y = DequantizeLinear(vq, s, z)"


def test_network_agrees_with_onnx_runtime():
    component = network()
    program = import_integer_program(component)
    feeds = random_feeds(component)
    source, output = program.inputs[0], program.outputs[0]
    codes = program.reference({source.name: source.quantize(feeds["x"])})
    expected = OnnxExecutor(component.model, threads=1)(feeds)["y"]
    assert signal_to_noise(expected, output.dequantize(codes["y"])) > 30


def test_operators_and_their_neighbours_become_one_operation():
    names = [type(operation).__name__ for operation in import_integer_program(network()).operations]
    assert names == [
        "Convolution",
        "Regrouping",
        "Convolution",
        "LayerNorm",
        "Lookup",
        "Multiplication",
        "Softmax",
        "Regrouping",
    ]


def test_relu_becomes_the_least_code():
    first = import_integer_program(network()).operations[0]
    assert isinstance(first, Convolution)
    assert first.minimum == first.output.zero_point == 0


def test_transposition_of_the_channel_axis_moves_nothing():
    transposition = import_integer_program(network()).operations[1]
    assert isinstance(transposition, Regrouping)
    assert transposition.keeps_planes


def test_network_is_taken_whole():
    assert [hexagon_refusal(node) for node in network().model.graph] == [None] * len(network().model.graph)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"{BEFORE} v = Sin(xd) {AFTER}", "no integer kernel for Sin"),
        ("v = Relu(x)  y = Relu(v)", "not dequantised"),
        (f"{BEFORE} y = Sigmoid(xd)", "float output"),
        (f"{BEFORE} t = Sigmoid(xd) v = Exp(t) {AFTER}", "not quantised"),
        (f"{BEFORE} v = MatMul(xd, xd) {AFTER}", "not a constant"),
        ("q = QuantizeLinear(x, s, zs)  y = DequantizeLinear(q, s, zs)", "not quantised to uint8"),
    ],
)
def test_refused_nodes_have_a_reason(body, reason):
    component = make_component(f"(float[4,4] x) => (float[4,4] y) {{ {body} }}", STEPS)
    reasons = [hexagon_refusal(node) for node in component.model.graph]
    assert any(reason in refusal for refusal in reasons if refusal)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (f"{BEFORE} v = Sin(xd) {AFTER}", "no integer kernel"),
        ("y = Relu(x)", "not quantised"),
        (f"{BEFORE} v = Mul(xd, x) {AFTER}", "not quantised"),
        (f"{BEFORE} t = Sigmoid(xd) v = Sin(t) {AFTER}", "no integer kernel"),
        (f"{BEFORE} v = Div(xd, xd) {AFTER}", "none is a constant"),
        (f"{BEFORE} v = Sqrt(xd) {AFTER}", "no value at some"),
        (f"{BEFORE} v = Clip(xd, x) {AFTER}", "bound that is not a constant"),
        ("q = QuantizeLinear(x, s, zs)  y = DequantizeLinear(q, s, zs)", "not quantised to uint8"),
    ],
)
def test_a_graph_with_float_arithmetic_is_an_error(body, fault):
    component = make_component(f"(float[4,4] x) => (float[4,4] y) {{ {body} }}", STEPS)
    with pytest.raises(TargetError, match=fault):
        import_integer_program(component)


@pytest.mark.parametrize(
    ("weight", "axis", "bias", "fault"),
    [
        (np.full(4, 0.1, np.float32), 0, np.zeros(4, np.float32), "scales of its output channels"),
        (np.full(4, 0.1, np.float32), 1, np.full(4, 1e9, np.float32), "does not fit"),
        (np.zeros(4, np.float32), 1, np.zeros(4, np.float32), "not a positive number"),
    ],
)
def test_products_outside_the_kernels_range_are_errors(weight, axis, bias, fault):
    tensors = {"w": np.ones((4, 4), np.int8), "ws": weight, "b": bias} | STEPS
    body = f"{BEFORE} d = DequantizeLinear<axis={axis}>(w, ws)  p = MatMul(xd, d)  v = Add(p, b) {AFTER}"
    component = make_component(f"(float[4,4] x) => (float[4,4] y) {{ {body} }}", tensors)
    with pytest.raises(TargetError, match=fault):
        import_integer_program(component)


def test_a_weight_with_a_zero_point_is_an_error():
    weights = {"w": np.ones((4, 4), np.int8), "s": SCALE, "z": ZERO, "one": np.asarray(1, np.int8)}
    body = f"{BEFORE} d = DequantizeLinear(w, s, one)  v = MatMul(xd, d) {AFTER}"
    component = make_component(f"(float[4,4] x) => (float[4,4] y) {{ {body} }}", weights)
    with pytest.raises(TargetError, match="zero point"):
        import_integer_program(component)


def test_groups_become_zero_weights():
    text = f"""(float[1,6,9] x) => (float[1,6,9] y) {{
        {BEFORE}
        w = DequantizeLinear<axis=0>(wq, ws)
        v = Conv<group=3, pads=[1,1], kernel_shape=[3]>(xd, w)
        {AFTER}
    }}"""
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (6, 2, 3)).astype(np.int8)
    component = make_component(text, STEPS | {"wq": codes, "ws": np.full(6, 0.01, np.float32)}, "groups")
    program = import_integer_program(component)
    weights = program.operations[0].dense_weights
    assert weights.shape == (6, 6, 1, 3)
    np.testing.assert_array_equal(weights[2:4, 2:4, 0], codes[2:4])
    assert not weights[2:4, :2].any() and not weights[2:4, 4:].any()
    _agrees(component, program)


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [("kernel_shape=[6, 4]", "Mean"), ("kernel_shape=[2, 3], strides=[2, 1]", "Convolution")],
)
def test_average_pool_is_a_mean_or_a_convolution_of_ones(attributes, kind):
    text = (
        f"(float[1,3,6,4] x) => (float[1,3,a,b] y) {{ {BEFORE} v = AveragePool<{attributes}>(xd) {AFTER} }}"
    )
    component = make_component(text, STEPS, "pool")
    program = import_integer_program(component)
    assert type(program.operations[0]).__name__ == kind
    _agrees(component, program)


def _agrees(component, program):
    feeds = random_feeds(component)
    codes = program.reference({"x": program.inputs[0].quantize(feeds["x"])})["y"]
    expected = OnnxExecutor(component.model, threads=1)(feeds)["y"]
    assert np.abs(program.outputs[0].dequantize(codes) - expected).max() <= 1.001 * float(SCALE)


def _agreement(text, constants=()):
    """Of the integer program with ONNX Runtime, in codes."""
    component = make_component(text, STEPS | dict(constants))
    program = import_integer_program(component)
    feeds = random_feeds(component)
    codes = program.reference({t.name: t.quantize(feeds[t.name]) for t in program.inputs})
    (expected,) = OnnxExecutor(component.model, threads=1)(feeds).values()
    (output,) = program.outputs
    difference = output.quantize(expected).astype(int) - codes[output.name]
    return [type(operation).__name__ for operation in program.operations], int(np.abs(difference).max())


@pytest.mark.parametrize(
    "expression",
    [
        "Abs(xd)",
        "Clip(xd, low, high)",
        "Clip(xd, , high)",
        "Elu<alpha=0.7>(xd)",
        "Erf(xd)",
        "Exp(xd)",
        "HardSigmoid<alpha=0.3>(xd)",
        "LeakyRelu<alpha=0.2>(xd)",
        "Neg(xd)",
        "Add(xd, low)",
        "Sub(high, xd)",
        "Mul(coded, xd)",
        "Div(xd, high)",
        "Div(high, xd)",
        "Pow(xd, two)",
        "Max(low, xd)",
        "Min(xd, high)",
    ],
)
def test_what_depends_on_one_element_is_a_table(expression):
    text = f"""(float[1,5,4,6] x) => (float[1,5,4,6] y) {{
        {BEFORE} coded = DequantizeLinear(c, s, z)  v = {expression} {AFTER}
    }}"""
    numbers = {"low": -0.8, "high": 1.3, "two": 2.0}
    constants = {name: np.asarray(number, np.float32) for name, number in numbers.items()}
    constants["c"] = np.asarray([[90]], np.uint8)
    component = make_component(text, STEPS | constants)
    assert [hexagon_refusal(node) for node in component.model.graph] == [None] * len(component.model.graph)
    names, difference = _agreement(text, constants)
    assert names == ["Lookup", "Regrouping"]
    assert difference <= 1


def test_a_square_root_of_codes_from_zero_is_a_table():
    text = """(float[4,6] x) => (float[4,6] y) {
        xq = QuantizeLinear(x, s, none)  xd = DequantizeLinear(xq, s, none)  v = Sqrt(xd)
        vq = QuantizeLinear(v, s, none)  y = DequantizeLinear(vq, s, none)
    }"""
    names, difference = _agreement(text, {"none": np.asarray(0, np.uint8)})
    assert names == ["Lookup", "Regrouping"]
    assert difference <= 1


def test_a_number_that_adds_an_axis_is_an_error():
    text = f"(float[4,6] x) => (float[1,4,6] y) {{ {BEFORE} v = Add(xd, one) {AFTER} }}"
    component = make_component(text, STEPS | {"one": np.ones((1, 1, 1), np.float32)})
    with pytest.raises(TargetError, match="does not take this"):
        import_integer_program(component)


@pytest.mark.parametrize(
    ("body", "shape", "pool"),
    [
        ("v = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(xd)", "1,5,4,4", "MaxPool"),
        ("v = GlobalMaxPool(xd)", "1,5,1,1", "MaxPool"),
        ("m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(xd) v = Relu(m)", "1,5,4,4", "Requantization"),
    ],
)
def test_the_largest_code_is_the_largest_value(body, shape, pool):
    names, difference = _agreement(f"(float[1,5,8,8] x) => (float[{shape}] y) {{ {BEFORE} {body} {AFTER} }}")
    assert pool in names and names[0] == "MaxPool"
    assert difference == 0


@pytest.mark.parametrize("operator", ["Add", "Mul"])
@pytest.mark.parametrize("shape", ["1,5,1,1", "1,1,4,6", "5,1,6", "6", "1,1,1,1", "1,5,4,6"])
def test_an_operand_is_repeated_to_the_shape_of_the_other(operator, shape):
    text = f"""(float[1,5,4,6] x, float[{shape}] o) => (float[1,5,4,6] y) {{
        {BEFORE} oq = QuantizeLinear(o, s, z)  od = DequantizeLinear(oq, s, z)
        v = {operator}(od, xd) {AFTER}
    }}"""
    names, difference = _agreement(text)
    assert ("Broadcast" in names) == (shape != "1,5,4,6")
    assert difference <= 1


def test_part_of_the_height_cannot_be_repeated():
    text = f"""(float[1,5,3,4,6] x, float[1,5,1,4,6] o) => (float[1,5,3,4,6] y) {{
        {BEFORE} oq = QuantizeLinear(o, s, z)  od = DequantizeLinear(oq, s, z)
        v = Add(xd, od) {AFTER}
    }}"""
    with pytest.raises(TargetError, match="repeated"):
        import_integer_program(make_component(text, STEPS))


CONSTANTS = {
    "float": "",
    "uint8": "c = DequantizeLinear(codes, s, z)",
    "int8": "c = DequantizeLinear(signed, s, zs)",
    "per channel": "c = DequantizeLinear<axis=0>(signed, scales)",
}


@pytest.mark.parametrize("operator", ["Add", "Mul", "Sub"])
@pytest.mark.parametrize("kind", CONSTANTS)
@pytest.mark.parametrize("shape", [(5, 1, 1), (4, 6), (1, 5, 4, 6)])
def test_an_operand_is_constant(operator, kind, shape):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, shape)
    constants = {
        "w": ((codes - int(ZERO)) * SCALE).astype(np.float32),
        "codes": codes.astype(np.uint8),
        "signed": (codes - 128).astype(np.int8),
        "scales": rng.uniform(0.01, 0.05, shape[0]).astype(np.float32),
    }
    operand = "c" if CONSTANTS[kind] else "w"
    body = f"{BEFORE} {CONSTANTS[kind]} v = {operator}(xd, {operand}) {AFTER}"
    text = f"(float[1,5,4,6] x) => (float[1,5,4,6] y) {{ {body} }}"
    names, difference = _agreement(text, constants)
    assert names[0] == "Constant"
    assert difference <= 1


def test_a_constant_is_subtracted_from():
    text = f"""(float[1,5,4,6] x) => (float[1,5,4,6] y) {{
        {BEFORE} c = DequantizeLinear(signed, s, zs) v = Sub(c, xd) {AFTER}
    }}"""
    names, difference = _agreement(text, {"signed": np.arange(-60, 60, dtype=np.int8).reshape(1, 5, 4, 6)})
    assert names == ["Constant", "Lookup", "Addition", "Regrouping"]
    assert difference <= 1


def test_activations_are_subtracted():
    text = f"""(float[1,5,4,6] x, float[1,5,1,1] o) => (float[1,5,4,6] y) {{
        {BEFORE} oq = QuantizeLinear(o, s, z)  od = DequantizeLinear(oq, s, z) v = Sub(xd, od) {AFTER}
    }}"""
    assert _agreement(text)[1] <= 1


def test_a_constant_repeats_along_part_of_the_height():
    text = f"""(float[1,5,3,4,6] x) => (float[1,5,3,4,6] y) {{
        {BEFORE} c = DequantizeLinear(codes, s, z) v = Mul(xd, c) {AFTER}
    }}"""
    codes = np.random.default_rng(0).integers(0, 256, (5, 1, 4, 6)).astype(np.uint8)
    names, difference = _agreement(text, {"codes": codes})
    assert "Broadcast" not in names
    assert difference <= 1


@pytest.mark.parametrize(
    ("constant", "received"),
    [
        (np.zeros((2, 1, 5, 4, 6), np.float32), "repeated to"),
        (np.full((5, 1, 1), np.nan, np.float32), "not finite"),
    ],
)
def test_a_constant_that_is_no_operand(constant, received):
    text = f"(float[1,5,4,6] x) => (float[1,5,4,6] y) {{ {BEFORE} v = Add(xd, w) {AFTER} }}"
    with pytest.raises(TargetError) as raised:
        import_integer_program(make_component(text, STEPS | {"w": constant}))
    assert received in raised.value.received


def test_a_sum_behind_a_product_is_a_bias_or_refused():
    text = f"""(float[3,5] x) => (float[3,5] y) {{
        {BEFORE} wd = DequantizeLinear(w, s) m = MatMul(xd, wd) v = Add(m, rows) {AFTER}
    }}"""
    constants = {"w": np.eye(5, dtype=np.int8), "rows": np.ones((3, 5), np.float32)}
    with pytest.raises(TargetError) as raised:
        import_integer_program(make_component(text, STEPS | constants))
    assert "each output channel" in raised.value.received


@pytest.mark.parametrize(
    ("shape", "axes", "result"),
    [
        ("1,6,4", [1], "1,4"),
        ("1,6,4", [-2], "1,1,4"),
        ("1,5,4,6", [1, 2], "1,6"),
        ("1,5,4,6", [2, 3], "1,5,1,1"),
        ("1,5,4,6", [3, 1], "1,1,4,1"),
    ],
)
def test_a_mean_over_all_positions(shape, axes, result):
    keep = int(result.count(",") == shape.count(","))
    text = f"""(float[{shape}] x) => (float[{result}] y) {{
        {BEFORE} v = ReduceMean<keepdims={keep}>(xd, axes) {AFTER}
    }}"""
    names, difference = _agreement(text, {"axes": np.asarray(axes, np.int64)})
    assert "Mean" in names
    assert difference <= 1


@pytest.mark.parametrize(
    ("shape", "axes", "result"),
    [("1,5,4,6", [3], "1,5,4"), ("2,6,4", [1], "2,4"), ("1,6,4", [0, 1], "4"), ("1,6,4", [], "")],
)
def test_a_mean_over_something_else_is_refused(shape, axes, result):
    text = f"""(float[{shape}] x) => (float[{result}] y) {{
        {BEFORE} v = ReduceMean<keepdims=0>(xd, axes) {AFTER}
    }}"""
    with pytest.raises(TargetError, match="ReduceMean does not take"):
        import_integer_program(make_component(text, STEPS | {"axes": np.asarray(axes, np.int64)}))
