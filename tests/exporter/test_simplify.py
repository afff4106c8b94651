"""What is folded and rewritten as soon as a graph is read, and what the folder of constants may compute."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxscript.optimizer
import pytest
from onnx import parser

from exporter import simplify as module
from exporter.simplify import simplify


def simplified(text):
    proto = parser.parse_model(f'<ir_version: 10, opset_import: ["": 23]> g {text}')
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    simplify(model)
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize(("size", "kept"), [(8, []), (1 << 21, ["Tile"])])
def test_a_constant_that_grows_is_folded_while_it_is_small(monkeypatch, size, kept):
    evaluated = []
    monkeypatch.setattr(module, "_FOLDED_ELEMENTS", 1 << 10)
    evaluator = onnxscript.optimizer._constant_folding._reference_evaluator
    original = evaluator.evaluate
    monkeypatch.setattr(
        evaluator,
        "evaluate",
        lambda *arguments, **options: evaluated.append(arguments[1]) or original(*arguments, **options),
    )
    text = (
        f"(float[{size}] x) => (float[{size}] y) <float[1] o = {{1}}, int64[1] s = {{{size}}}>"
        "{ c = Tile(o, s) y = Add(x, c) }"
    )
    assert simplified(text) == [*kept, "Add"]
    assert evaluated == [] if kept else ["Tile"]


@pytest.mark.parametrize("saturate", [0, 1])
def test_a_cast_like_another_value_keeps_how_fp8_saturates(saturate):
    model = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 23]> g (float[4] x, float8e4m3fn[1] like) => (float8e4m3fn[4] y)
        {{ y = CastLike<saturate={saturate}>(x, like) }}"""
    )
    simplify(model)
    (node,) = model.graph
    assert node.op_type == "Cast"
    assert node.attributes.get_int("to") == int(ir.DataType.FLOAT8E4M3FN)
    assert node.attributes.get_int("saturate", 1) == saturate


def test_an_identity_of_an_outer_value_in_two_branches_is_no_error():
    model = ir.from_onnx_text(
        """<ir_version: 10, opset_import: ["" : 23]> g (float[2] x, bool c) => (float[2] y) {
        r = Relu(x)
        a = If (c) <then_branch = t () => (float[2] p) { p = Neg(r) },
                    else_branch = e () => (float[2] q) { q = Identity(r) }>
        b = If (c) <then_branch = u () => (float[2] s) { s = Abs(r) },
                    else_branch = f () => (float[2] w) { w = Identity(r) }>
        y = Add(a, b) }"""
    )
    simplify(model)
    assert [node.op_type for node in model.graph] == ["Relu", "If", "If", "Add"]
    assert np.all(
        [len(list(node.attributes["else_branch"].as_graph())) for node in model.graph if node.op_type == "If"]
    )
