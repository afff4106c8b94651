from pathlib import Path

import onnx_ir as ir
import pytest

from exporter.errors import ExportError
from exporter.sources.onnx_files.opset import to_opset

FILE = Path("m.onnx")


def model_of(text, opset):
    return ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : {opset}]> g {text}')


def test_a_newer_opset_that_says_nothing_new_is_taken():
    model = to_opset(
        model_of("(float[4] x) => (float[2,2] y) <int64[2] s = {2,2}> { y = Reshape(x, s) }", 25), FILE
    )
    assert model.opset_imports[""] == 23
    assert [node.op_type for node in model.graph] == ["Reshape"]


@pytest.mark.parametrize(
    ("text", "opset", "message"),
    [
        (
            "(float[4] x) => (float[4] y) { y = CumProd(x, x) }",
            26,
            "CumProd of opset 26 with no form in older opsets",
        ),
        ("(uint2[4] x) => (uint2[2,2] y) <int64[2] s = {2,2}> { y = Reshape(x, s) }", 25, "UINT2 of input 0"),
        (
            "(float[1,1,2,4] q) => (float[1,1,2,4] y) { y = Attention<left_window_size=1>(q, q, q) }",
            25,
            "Attention of opset 25 with attribute left_window_size",
        ),
        (
            "(float[1,1,2,4] q, int64[1] n) => (float[1,1,2,4] y) { y = Attention(q, q, q, , , , n) }",
            24,
            "Attention of opset 24 with 7 inputs",
        ),
    ],
)
def test_what_opset_23_cannot_say_is_refused_by_name(text, opset, message):
    with pytest.raises(ExportError, match=f"(?s)cannot be brought to opset 23.*{message}"):
        to_opset(model_of(text, opset), FILE)


def test_an_older_opset_is_converted():
    model = to_opset(
        model_of("(float[4,4] x) => (float[4] y) { y = ReduceSum<axes=[1], keepdims=0>(x) }", 11), FILE
    )
    assert model.opset_imports[""] == 23
