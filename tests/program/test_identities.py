import numpy as np
import onnx_ir as ir

from program.identities import remove_identities
from program.onnx_executor import OnnxExecutor

HEADER = '<ir_version: 10, opset_import: ["" : 23]>'
BRANCHES = """g (float[1,8] x, bool c) => (float[1,8] y) {
    r = Relu(x)
    a = If (c) <then_branch = t1 () => (float[1,8] a1) { a1 = Neg(r) },
                else_branch = e1 () => (float[1,8] a2) { a2 = Identity(r) }>
    b = If (c) <then_branch = t2 () => (float[1,8] b1) { b1 = Neg(r) },
                else_branch = e2 () => (float[1,8] b2) { b2 = Identity(r) }>
    y = Add(a, b)
}"""


def model_of(text):
    return ir.from_onnx_text(f"{HEADER} {text}")


def ops(model):
    return [node.op_type for node in model.graph.all_nodes()]


def test_a_branch_keeps_the_outer_value_it_hands_on():
    model, feeds = (
        model_of(BRANCHES),
        {"x": np.linspace(-1, 1, 8, dtype=np.float32)[None], "c": np.array(False)},
    )
    expected = OnnxExecutor(model.clone())(feeds)["y"]
    assert not remove_identities(model.graph)
    assert ops(model).count("Identity") == 2
    np.testing.assert_array_equal(OnnxExecutor(model)(feeds)["y"], expected)


def test_what_hands_a_value_on_is_removed():
    model = model_of(
        "g (float[4] x) => (float[4] y) { a = Identity(x) b = Relu(a) c = Identity(b) y = Identity(c) }"
    )
    assert remove_identities(model.graph)
    assert ops(model) == ["Relu"]
    assert [value.name for value in model.graph.outputs] == ["y"]


def test_an_input_that_is_an_output_keeps_its_node():
    model = model_of("g (float[4] x) => (float[4] y, float[4] z) { y = Identity(x) z = Relu(x) }")
    assert not remove_identities(model.graph)
    assert ops(model) == ["Identity", "Relu"]


def test_two_outputs_of_one_value_stay_two():
    model = model_of("g (float[4] x) => (float[4] y, float[4] z) { y = Relu(x) z = Identity(y) }")
    remove_identities(model.graph)
    assert [value.name for value in model.graph.outputs] == ["y", "z"]
    assert set(OnnxExecutor(model)({"x": np.ones(4, np.float32)})) == {"y", "z"}
