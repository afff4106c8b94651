import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from npuc.compare.source.lost_signal import lost_signal

HEAD = '<ir_version: 10, opset_import: ["": 23]>\n'
FLOAT = (
    "g (float[4] x) => (float[4] y) { [first] a = Add(x, x)\n [square] b = Mul(a, a)\n [root] y = Sqrt(b) }"
)


def model(text):
    made = ir.from_onnx_text(HEAD + text)
    ShapeInferencePass()(made)
    return made


def test_the_first_node_beyond_the_range_is_named():
    half = model(FLOAT.replace("float[", "float16["))
    found = lost_signal(model(FLOAT), half, {"x": np.full(4, 300, np.float32)}, 40.0)
    assert found == "node square (Mul), whose values are not finite any more"


def test_a_ratio_is_given_with_that_of_what_the_node_reads():
    wrong = FLOAT.replace("Mul(a, a)", "Mul(a, x)")
    found = lost_signal(model(FLOAT), model(wrong), {"x": np.ones(4, np.float32)}, 40.0)
    assert found.startswith("node square (Mul): 6.0 dB")


def test_without_a_node_below_the_limit_the_worst_is_named():
    half = model(FLOAT.replace("float[", "float16["))
    found = lost_signal(model(FLOAT), half, {"x": np.linspace(0.1, 1, 4, dtype=np.float32)}, 10.0)
    assert found.startswith("node ")
    assert "dB" in found


def test_graphs_without_common_values_say_nothing():
    other = "g (float[4] x) => (float[4] z) { z = Neg(x) }"
    assert lost_signal(model(FLOAT), model(other), {"x": np.ones(4, np.float32)}, 10.0) == ""
