import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.core.rewrite import Builder, required_input, scalar_constant, small_constant, static_shape

TEXT = "g (float[2,3] x) => (float[2,3] y) { a = Abs(x)  y = Neg(a) }"


def test_replacements_keep_name_type_shape_and_tags(model_from):
    model = model_from(TEXT)
    anchor = model.graph[1]
    anchor.metadata_props["npuc.modality"] = "audio"
    build = Builder(model.graph, anchor)
    build.replace_anchor(build.op("Exp", anchor.inputs[0]))
    (output,) = model.graph.outputs
    assert (output.name, output.dtype, output.shape) == ("y", ir.DataType.FLOAT, (2, 3))
    assert output.producer().op_type == "Exp"
    assert output.producer().metadata_props["npuc.modality"] == "audio"
    assert output.producer().name == "neg_1/Exp_1"


def test_new_nodes_come_before_the_anchor(model_from):
    model = model_from(TEXT)
    build = Builder(model.graph, model.graph[1])
    build.op("Exp", model.graph.inputs[0])
    assert [node.op_type for node in model.graph] == ["Abs", "Exp", "Neg"]


def test_constants_are_initializers_of_unique_names(model_from):
    model = model_from(TEXT)
    build = Builder(model.graph, model.graph[0])
    first, second = build.integers([1, 2], "axes"), build.scalar(0.5, ir.DataType.FLOAT16, "half")
    assert list(model.graph.initializers) == [first.name, second.name]
    assert (second.dtype, second.shape.rank()) == (ir.DataType.FLOAT16, 0)
    np.testing.assert_array_equal(first.const_value.numpy(), [1, 2])


def test_large_initializers_are_not_read(model_from):
    model = model_from(
        "g (float[2] x, float[2000] w) => (float[2] y) { y = Neg(x) }", {"w": np.zeros(2000, np.float32)}
    )
    value = model.graph.initializers["w"]
    assert small_constant(value) is None
    assert small_constant(value, limit=2000) is not None
    assert scalar_constant(value) is None


def test_unknown_shapes_and_absent_inputs_are_errors(model_from):
    model = model_from("g (float[n] x) => (float[n] y) { y = Neg(x) }")
    with pytest.raises(PassError, match="static shape"):
        static_shape(model.graph.inputs[0], model.graph[0])
    with pytest.raises(PassError, match="input 1"):
        required_input(model.graph[0], 1)
