"""Limits on values, each seen from both sides."""

import onnx
import onnx_ir as ir
import pytest
from onnx import parser

from exporter.errors import ExportError
from exporter.sources.sizes import value_sizes
from exporter.sources.sizes.sized_graph import sized_proto
from exporter.sources.sizes.sized_ir import sized_ir
from exporter.sources.sizes.value_sizes import check_value_sizes, live_bytes


def check(text, path):
    proto = parser.parse_model(f'<ir_version: 10, opset_import: ["": 23]> g {text}')
    inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    for view in (sized_ir(ir.from_proto(inferred).graph), sized_proto(inferred.graph)):
        check_value_sizes(view, path)


@pytest.mark.parametrize(("rows", "refused"), [((1 << 19), False), ((1 << 19) + 1, True)])
def test_one_value(tmp_path, rows, refused):
    text = f"(float[{rows},1024] x) => (float[{rows},1024] y) {{ y = Relu(x) }}"
    if not refused:
        return check(text, tmp_path)
    with pytest.raises(ExportError, match=r"(?s)larger than 2147483648 bytes.*value x"):
        check(text, tmp_path)
    return None


def test_all_values_together(tmp_path, monkeypatch):
    text = "(float[4] x) => (float[4] y) { a = Relu(x) b = Relu(a) y = Relu(b) }"
    monkeypatch.setattr(value_sizes, "MAX_TOTAL_BYTES", 64)
    check(text, tmp_path)
    monkeypatch.setattr(value_sizes, "MAX_TOTAL_BYTES", 63)
    with pytest.raises(ExportError, match="all values"):
        check(text, tmp_path)


def test_constants_that_grow_are_counted_and_unpacked_weights_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(value_sizes, "MAX_GROWN_BYTES", 1 << 20)
    grown = (
        "<int64[1] s = {1000000}> { c = ConstantOfShape(s) d = Relu(c) e = ReduceSum<keepdims = 0>(d)"
        " y = Add(x, e) }"
    )
    with pytest.raises(ExportError, match="made from constants"):
        check(f"(float[1] x) => (float[1] y) {grown}", tmp_path)
    check("(float[1000000] x) => (float[1000000] y) { y = Relu(x) }", tmp_path)
    graph = ir.Graph([], [], nodes=[], name="g")
    weight = ir.Value(name="w", type=ir.TensorType(ir.DataType.INT8), shape=ir.Shape([1 << 20]))
    weight.const_value = ir.LazyTensor(lambda: None, ir.DataType.INT8, ir.Shape([1 << 20]), name="w")
    graph.register_initializer(weight)
    node = ir.node("Cast", [weight], {"to": 1})
    node.outputs[0].dtype, node.outputs[0].shape = ir.DataType.FLOAT, ir.Shape([1 << 20])
    graph.append(node)
    check_value_sizes(sized_ir(graph), tmp_path)


def test_integer_vectors(tmp_path, monkeypatch):
    monkeypatch.setattr(value_sizes, "MAX_VECTOR_ELEMENTS", 7)
    with pytest.raises(ExportError, match="integer vectors"):
        check("(int64[4] x) => (int64[8] y) { y = Concat<axis = 0>(x, x) }", tmp_path)


def test_text_and_many_axes(tmp_path):
    with pytest.raises(ExportError, match="is text"):
        check("(float[1] x) => (string[1] y) { y = Cast<to = 8>(x) }", tmp_path)
    axes = ",".join(["1"] * 65)
    with pytest.raises(ExportError, match="more than 64 axes"):
        check(f"(float[{axes}] x) => (float[{axes}] y) {{ y = Relu(x) }}", tmp_path)


def test_unknown_sizes_are_passed_over(tmp_path):
    check("(float[N,1024] x) => (float[N,1024] y) { y = Relu(x) }", tmp_path)


def test_live_bytes_are_those_of_the_widest_moment():
    text = (
        '<ir_version: 10, opset_import: ["": 23]> g (float[4] x) => (float[4] y)'
        " <float[4] w = {1, 2, 3, 4}> { a = Add(x, w) b = Relu(x) c = Add(a, b) y = Relu(c) }"
    )
    inferred = onnx.shape_inference.infer_shapes(parser.parse_model(text))
    x, a, b, c = 16, 16, 16, 16
    assert live_bytes(sized_proto(inferred.graph)) == x + a + b + c
    assert live_bytes(sized_ir(ir.from_proto(inferred).graph)) == x + a + b + c
