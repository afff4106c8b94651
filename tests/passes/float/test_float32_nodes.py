import numpy as np
import onnx_ir as ir
import pytest

from passes.core.rewrite import COMPUTE_KEY
from passes.float.float32_nodes import BETWEEN, TAGGED, float32_nodes


def kept(model):
    return {node.op_type: reason for node, reason in float32_nodes(model.graph).items()}


def test_tags_and_operators(model_from):
    model = model_from("g (float[2] x) => (float[2] y) { a = Neg(x)  b = Exp(a)  y = Abs(b) }")
    model.graph[0].metadata_props[COMPUTE_KEY] = "float32"
    for node in model.graph:
        node.outputs[0].type = model.graph.inputs[0].type
    reasons = kept(model)
    assert set(reasons) == {"Neg", "Exp"}
    assert reasons["Neg"] == TAGGED
    assert "Exp" in reasons["Exp"]


@pytest.mark.parametrize(("constant", "expected"), [("1e-6", {"Add"}), ("1e-3", set()), ("0.0", set())])
def test_tiny_constants(constant, expected, model_from):
    model = model_from(f"g (float[2] x) => (float[2] y) <float c = {{{constant}}}> {{ y = Add(x, c) }}")
    assert set(kept(model)) == expected


def test_floats_that_become_integers(model_from):
    model = model_from("g (float[2] x) => (int64[2] y) { y = Cast<to=7>(x) }")
    assert "2048" in kept(model)["Cast"]


def test_chains_between_and_from_integers(model_from):
    model = model_from(
        "g (int64[2] p, float[2] x) => (float[2] y) { c = Cast<to=1>(p)  n = Neg(c)  s = Sin(n)  y = Mul(s, x) }"
    )
    for node in model.graph:
        node.outputs[0].type = model.graph.inputs[1].type
    reasons = kept(model)
    assert set(reasons) == {"Cast", "Neg", "Sin"}
    assert reasons["Cast"] == reasons["Neg"] == BETWEEN


def test_a_value_used_outside_is_not_drawn_in(model_from):
    model = model_from("g (float[2] x) => (float[2] y) { e = Exp(x)  n = Neg(e)  s = Sin(n)  y = Mul(s, n) }")
    for node in model.graph:
        node.outputs[0].type = model.graph.inputs[0].type
    assert set(kept(model)) == {"Exp", "Sin"}


def test_a_node_fed_by_float16_is_not_drawn_in(model_from):
    model = model_from("g (float[2] x) => (float[2] y) { n = Neg(x)  e = Exp(n)  y = Abs(e) }")
    for node in model.graph:
        node.outputs[0].type = model.graph.inputs[0].type
    assert set(kept(model)) == {"Exp"}


def test_layers_with_weights_are_not_drawn_in(model_from):
    """A model from an embedding to a norm has floats of its own only: it is not float32 for all that."""
    model = model_from(
        """g (int64[2] ids, float[9,4] table, float[4,4] w) => (float[2,1] y)
        { e = Gather(table, ids)  p = Mul(e, e)  m = MatMul(e, w)  s = Sqrt(p)  a = Add(m, s)  y = ReduceMean(a) }""",
        {"table": np.ones((9, 4), np.float32), "w": np.ones((4, 4), np.float32)},
    )
    for node in model.graph:
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    assert set(kept(model)) == {"Sqrt", "ReduceMean"}
