import numpy as np
import onnx
import onnx_ir as ir

from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role
from targets.contract.names import CPU
from targets.placing.coverage import Coverage, NodeCoverage
from targets.placing.segmentation import split_component

MODEL = """
<ir_version: 10, opset_import: ["" : 21]>
g (float[4] x) => (float[4] y, float[4] z) {
    a = Relu(x)
    b = Erf(a)
    c = Tanh(a)
    y = Add(b, c)
    z = Neg(b)
}
"""


def component():
    model = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(MODEL))
    return Component("m", Role.MODEL, Modality.TEXT, ir.from_proto(model))


def coverage(graph, on_cpu=("Erf",)):
    rows = [
        NodeCoverage(node.outputs[0].name, node.op_type, CPU if node.op_type in on_cpu else "htp", "")
        for node in graph
    ]
    return Coverage("m", tuple(rows))


def test_a_whole_component_stays_itself():
    whole = component()
    (part,) = split_component(whole, coverage(whole.model.graph, on_cpu=()))
    assert part.component is whole
    assert part.processor == "htp"


def test_parts_take_all_that_is_ready():
    whole = component()
    parts = split_component(whole, coverage(whole.model.graph))
    found = [(str(part.processor), [node.op_type for node in part.component.model.graph]) for part in parts]
    assert found == [("htp", ["Relu", "Tanh"]), ("cpu", ["Erf"]), ("htp", ["Add", "Neg"])]
    assert [part.component.name for part in parts] == ["m_0", "m_1", "m_2"]
    assert {spec.name for spec in parts[2].component.inputs} == {"b", "c"}


def test_the_chain_computes_what_the_component_computes():
    whole = component()
    feeds = {"x": np.linspace(-2, 2, 4, dtype=np.float32)}
    expected = OnnxExecutor(whole.model)(feeds)
    values = dict(feeds)
    for part in split_component(whole, coverage(whole.model.graph)):
        values |= OnnxExecutor(part.component.model)(values)
    for name, array in expected.items():
        assert np.array_equal(values[name], array)


def test_a_decoded_weight_goes_with_its_reader():
    text = """
    <ir_version: 10, opset_import: ["" : 21]>
    g (float[2] x) => (float[2] y) <int8[2] w = {1, 2}, float s = {0.5}> {
        d = DequantizeLinear(w, s)
        y = Mul(x, d)
    }
    """
    whole = Component("m", Role.MODEL, Modality.TEXT, ir.from_onnx_text(text))
    parts = split_component(whole, coverage(whole.model.graph, on_cpu=("DequantizeLinear",)))
    assert [part.processor for part in parts] == ["htp"]
