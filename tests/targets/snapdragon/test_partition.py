import onnx_ir as ir
import pytest

from targets.snapdragon.htp.partition import htp_operators, htp_refusal
from targets.snapdragon.socs import find_htp_soc


def node(text, inputs="float16[2,4] x", output="float16[2,4] y"):
    model = ir.from_onnx_text(
        f'<ir_version: 10, opset_import: ["" : 21]> g ({inputs}) => ({output}) {{ {text} }}'
    )
    return model.graph[-1]


def refusal(graph_node, soc="SM8750"):
    return htp_refusal(graph_node, find_htp_soc(soc))


def test_float16_runs_where_the_chip_has_it():
    softmax = node("y = Softmax(x)")
    assert refusal(softmax) is None
    refused = refusal(softmax, "SM7675")
    assert "SM7675 computes no float16" in refused.reason
    assert "integer scheme" in refused.remedy


@pytest.mark.parametrize(
    ("text", "output", "reason"),
    [
        ("y = Erf(x)", "float16[2,4] y", "only inside Gelu"),
        ("y = Trilu(x)", "float16[2,4] y", "refuses"),
        ("y = com.example.Thing(x)", "float16[2,4] y", "no HTP operator"),
        ("y = Cast<to = 16>(x)", "bfloat16[2,4] y", "bfloat16"),
        ("y = Cast<to = 17>(x)", "float8e4m3fn[2,4] y", "no FP8"),
        ("y = Relu(x)", "float16[N,4] y", "not static"),
    ],
)
def test_what_htp_does_not_take_has_a_reason_and_a_remedy(text, output, reason):
    refused = refusal(node(text, output=output))
    assert reason in refused.reason
    assert refused.remedy


def test_six_axes_are_too_many_for_a_transpose():
    shape = "[1,2,1,2,1,2]"
    refused = refusal(node("y = Transpose(x)", f"float16{shape} x", f"float16{shape} y"))
    assert "5 axes" in refused.reason


def test_signed_8_bit_activations_are_refused():
    refused = refusal(node("y = QuantizeLinear(x, s, z)", "float16[2,4] x, float16 s, int8 z", "int8[2,4] y"))
    assert "wrong numbers" in refused.reason


def test_a_quantised_unit_runs_on_chips_without_float16():
    text = "d = DequantizeLinear(x, s, z) y = Relu(d)"
    relu = node(text, "uint8[2,4] x, float s, uint8 z", "float[2,4] y")
    relu.inputs[0].dtype, relu.inputs[0].shape = ir.DataType.FLOAT, ir.Shape([2, 4])
    assert refusal(relu, "SM7675") is None


def test_the_operators_of_the_passes_are_known():
    assert {"MatMul", "Conv", "Gelu", "LayerNormalization", "RMSNormalization", "Softmax"} <= htp_operators()
