import numpy as np
import onnx_ir as ir
import pytest

from passes.core.errors import PassError
from passes.float.insert_fp8_qdq import InsertFp8Qdq
from passes.float.precision import PrecisionPolicy
from passes.structure.decoded_weight import decoded_weight
from program.lazy_tensor import BlockwiseTensor
from program.number_format import Format
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.legalize.fold_fp8 import FoldFp8

TEXT = "g (float16[4,64] x, float16[64,96] w) => (float16[4,96] y) { y = MatMul(x, w) }"


def weight(seed=0):
    return np.random.default_rng(seed).normal(0, 0.2, (64, 96)).astype(np.float16)


def quantised(model_from, fmt):
    model = model_from(TEXT, {"w": weight()})
    for node in model.graph:
        node.metadata_props["npuc.modality"] = "text"
    policy = PrecisionPolicy(by_modality=dict.fromkeys(PrecisionPolicy().by_modality, fmt), keep=())
    InsertFp8Qdq(policy, "part", {("x", fmt): 0.01})(model)
    return model


@pytest.mark.parametrize("fmt", [Format.E4M3, Format.E5M2])
def test_weights_become_float16_initializers_and_activations_keep_float16(
    fmt, model_from, same_graph, feeds_for
):
    model, before = quantised(model_from, fmt), quantised(model_from, fmt)
    step = FoldFp8("part")
    assert step(model).modified
    codes = before.graph.initializers[f"w.{fmt.value}"].const_value.numpy().astype(np.float32)
    scale = before.graph.initializers[f"w.{fmt.value}.scale"].const_value.numpy().astype(np.float32)
    same_graph(model, model_from(TEXT, {"w": (codes * scale).astype(np.float16)}))
    assert set(model.graph.initializers) == {f"w.{fmt.value}.float16"}
    feeds = feeds_for(model)
    weights_only = OnnxExecutor(model_from(TEXT, {"w": weight()}))(feeds)["y"]
    # the weights' own rounding is all that is left: 2⁻⁴ or 2⁻³ of each, over 64 products
    np.testing.assert_allclose(OnnxExecutor(model)(feeds)["y"], weights_only, atol=0.5)


def test_the_remarks_state_bytes_by_layer_and_in_total(model_from):
    step = FoldFp8("part")
    step(quantised(model_from, Format.E4M3))
    layer, total = step.remarks
    before = 64 * 96 + 2 * 96
    assert layer.numbers == {"bytes_before": before, "bytes_after": 2 * 64 * 96}
    assert total.node == "part" and total.numbers == {**layer.numbers, "activations": 1.0}
    assert f"{before} → {2 * 64 * 96} bytes" in total.what


def test_nothing_is_decoded_by_the_pass(model_from, monkeypatch):
    model = quantised(model_from, Format.E5M2)
    monkeypatch.setattr(BlockwiseTensor, "rows", lambda *_: pytest.fail("read"))
    FoldFp8("part")(model)
    assert isinstance(model.graph.initializers["w.e5m2.float16"].const_value, BlockwiseTensor)


def test_a_weight_of_two_layers_is_folded_once(model_from):
    model = quantised(model_from, Format.E4M3)
    second = quantised(model_from, Format.E4M3)
    names = []
    for part in (model, second):
        FoldFp8("part")(part)
        names.append(sorted(part.graph.initializers))
    assert names[0] == names[1]
    values = [part.graph.initializers[names[0][0]].const_value.tobytes() for part in (model, second)]
    assert values[0] == values[1]


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("fmt", [Format.E4M3, Format.E5M2])
def test_decoding_equals_onnx_runtime(axis, fmt, model_from):
    random = np.random.default_rng(1)
    finite = np.isfinite(np.arange(256, dtype=np.uint8).view(fmt.numpy).astype(np.float32))
    codes = random.choice(np.flatnonzero(finite), (64, 96)).astype(np.uint8).view(fmt.numpy)
    scale = random.uniform(1e-4, 1, (64, 96)[axis]).astype(np.float16)
    tensors = [ir.tensor(codes, dtype=fmt.onnx, name="c"), ir.tensor(scale, name="s")]
    decoded = decoded_weight(*tensors, axis, "decoded")
    blocks = [np.asarray(block) for block in decoded.blocks()]
    model = model_from(
        f"g (float16[2] s) => (float16[64,96] y) {{ y = DequantizeLinear<axis={axis}>(c, s) }}", {"s": scale}
    )
    value = ir.Value(name="c", type=ir.TensorType(fmt.onnx), shape=ir.Shape((64, 96)), const_value=tensors[0])
    model.graph.register_initializer(value)
    next(iter(model.graph)).replace_input_with(0, value)
    np.testing.assert_array_equal(np.concatenate(blocks), OnnxExecutor(model)({})["y"])
    np.testing.assert_array_equal(decoded.rows(7, 9), decoded.numpy()[7:9])


def test_values_beyond_float16_saturate_with_a_remark(model_from):
    model = quantised(model_from, Format.E5M2)
    scale = model.graph.initializers["w.e5m2.scale"]
    scale.const_value = ir.tensor(np.full(96, 2.0, np.float16), name=scale.name)
    codes = model.graph.initializers["w.e5m2"]
    largest = np.full((64, 96), 57344.0, Format.E5M2.numpy)
    codes.const_value = ir.tensor(largest, dtype=Format.E5M2.onnx, name=codes.name)
    step = FoldFp8("part")
    step(model)
    assert step.remarks[0].numbers["largest"] == 114688.0 and "saturate" in step.remarks[0].why
    values = model.graph.initializers["w.e5m2.float16"].const_value.numpy()
    assert np.all(values == 65504)


def test_codes_from_another_operator_are_refused(model_from):
    model = quantised(model_from, Format.E4M3)
    codes = next(node for node in model.graph if node.op_type == "QuantizeLinear")
    codes.op_type = "Cast"
    with pytest.raises(PassError, match="another operator than QuantizeLinear"):
        FoldFp8("part").call(model)


def test_integer_quantisation_is_left_alone(model_from):
    text = """g (float16[4,64] x, int8[64,96] w, float16[96] s) => (float16[4,96] y)
    { d = DequantizeLinear<axis=1>(w, s)  y = MatMul(x, d) }"""
    model = model_from(text, {"w": np.zeros((64, 96), np.int8), "s": np.ones(96, np.float16)})
    assert not FoldFp8("part")(model).modified
