"""What the folder of constants may compute."""

import onnx
import onnx_ir as ir
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
    original = module.onnxscript.optimizer._constant_folding._reference_evaluator.evaluate
    monkeypatch.setattr(
        module.onnxscript.optimizer._constant_folding._reference_evaluator,
        "evaluate",
        lambda *arguments, **options: evaluated.append(arguments[1]) or original(*arguments, **options),
    )
    text = (
        f"(float[{size}] x) => (float[{size}] y) <float[1] o = {{1}}, int64[1] s = {{{size}}}>"
        "{ c = Tile(o, s) y = Add(x, c) }"
    )
    assert simplified(text) == [*kept, "Add"]
    assert evaluated == [] if kept else ["Tile"]
