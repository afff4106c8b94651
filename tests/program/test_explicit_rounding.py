import numpy as np
import onnx_ir as ir
import pytest

from program.explicit_rounding import make_rounding_explicit
from program.onnx_executor import OnnxExecutor


def _model(body, dtype="float16", extra=""):
    header = '<ir_version: 10, opset_import: ["" : 23]>'
    model = ir.from_onnx_text(f"{header} g ({dtype}[4096] x{extra}) => ({dtype}[4096] y) {{ {body} }}")
    element = ir.DataType.FLOAT16 if dtype == "float16" else ir.DataType.FLOAT
    for node in model.graph:
        for value in node.outputs:
            value.type = ir.TensorType(element)
    return model


def _half(values):
    return values.astype(np.float16).astype(np.float32)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(4096).astype(np.float16)


def test_reference_rounds_after_each_operator_of_a_chain(x):
    result = OnnxExecutor(_model("a = Add(x, x)  b = Mul(a, x)  y = Sub(b, x)"))({"x": x})["y"]
    wide = x.astype(np.float32)
    each = (_half(_half(wide + wide) * wide) - wide).astype(np.float16)
    once = ((wide + wide) * wide - wide).astype(np.float16)
    np.testing.assert_array_equal(result, each)
    assert np.mean(result == once) < 0.9  # otherwise this input tells nothing


def test_transcendental_chain_rounds_after_each_operator(x):
    result = OnnxExecutor(_model("a = Exp(x)  b = Sin(a)  y = Tanh(b)"))({"x": x})["y"]
    each = np.tanh(_half(np.sin(_half(np.exp(x.astype(np.float32)))))).astype(np.float16)
    assert np.mean(result == each) > 0.999


def test_before_and_after():
    model = _model("a = Exp(x)  y = Neg(a)")
    make_rounding_explicit(model)
    assert [node.op_type for node in model.graph] == ["Cast", "Exp", "Cast", "Cast", "Neg", "Cast"]
    assert [value.name for value in model.graph.outputs] == ["y"]
    assert model.graph.outputs[0].dtype == ir.DataType.FLOAT16


@pytest.mark.parametrize(
    ("body", "dtype"), [("a = Exp(x)  y = Neg(a)", "float"), ("y = Identity(x)", "float16")]
)
def test_what_needs_no_rounding_stays(body, dtype):
    model = _model(body, dtype)
    before = [node.op_type for node in model.graph]
    make_rounding_explicit(model)
    assert [node.op_type for node in model.graph] == before


def test_the_callers_model_is_not_changed(x):
    model = _model("y = Exp(x)")
    OnnxExecutor(model)({"x": x})
    assert [node.op_type for node in model.graph] == ["Exp"]
    assert model.graph.outputs[0].dtype == ir.DataType.FLOAT16


def test_file_with_external_data_runs_in_place(tmp_path, x):
    model = _model("y = Add(x, w)")
    weight = ir.Value(name="w", const_value=ir.tensor(np.ones(4096, np.float16), name="w"))
    weight.type, weight.shape = ir.TensorType(ir.DataType.FLOAT16), ir.Shape([4096])
    model.graph.register_initializer(weight)
    next(iter(model.graph)).replace_input_with(1, weight)
    ir.save(model, tmp_path / "m.onnx", external_data="weights.bin", size_threshold_bytes=0)
    before = sorted(path.name for path in tmp_path.iterdir())
    result = OnnxExecutor(tmp_path / "m.onnx")({"x": x})["y"]
    np.testing.assert_array_equal(result, (x.astype(np.float32) + 1).astype(np.float16))
    assert sorted(path.name for path in tmp_path.iterdir()) == before
