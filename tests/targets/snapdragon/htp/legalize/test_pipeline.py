import collections
import dataclasses

import numpy as np
import onnx_ir as ir
import pytest

from passes.pipeline import normalize
from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.snapdragon.htp.executor import HtpExecutor
from targets.snapdragon.htp.legalize.pipeline import legalize_float16
from targets.snapdragon.htp.partition import htp_operators
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.socs import find_htp_soc

DEMO = [("demo", name) for name in ("vision_encoder", "audio_encoder", "text_encoder", "fusion", "decode")]
QWEN = [("qwen", name) for name in ("vision_encoder", "embedding", "prefill", "decode")]
FP8 = (ir.DataType.FLOAT8E4M3FN, ir.DataType.FLOAT8E5M2)


@pytest.fixture
def legalised(quantised):
    """(model, component) → before, after, remarks, first feeds in the component's types."""

    def make(model, name):
        components, feeds = quantised(model)
        before = components[name]
        after = dataclasses.replace(before, model=before.model.clone())
        remarks = legalize_float16(after)
        sample = {spec.name: feeds[name][-1][spec.name].astype(spec.numpy_dtype) for spec in after.inputs}
        return before, after, remarks, sample

    return make


@pytest.mark.parametrize(("model", "name"), QWEN)
def test_no_fp8_and_nothing_refused_is_left(model, name, legalised):
    before, after, remarks, feeds = legalised(model, name)
    values = [
        *after.model.graph.initializers.values(),
        *(value for node in after.model.graph for value in node.outputs),
    ]
    assert not any(value.dtype in FP8 for value in values)
    assert {node.op_type for node in after.model.graph} <= htp_operators()
    assert before.inputs == after.inputs and before.outputs == after.outputs
    weights = sum(
        value.dtype in FP8 and value.const_value.size > 1
        for value in before.model.graph.initializers.values()
    )
    assert sum("bytes_before" in remark.numbers and remark.node != name for remark in remarks) == weights
    expected, received = OnnxExecutor(before.model)(feeds), OnnxExecutor(after.model)(feeds)
    # without FP8 activations the results differ by their rounding, which leaves about 25 dB in each layer
    assert all(signal_to_noise(expected[key], received[key]) > 10 for key in expected)


def test_components_keep_sharing_weights(legalised):
    shared = [set(legalised("qwen", name)[1].model.graph.initializers) for name in ("prefill", "decode")]
    common = {name for name in shared[0] & shared[1] if name.startswith("model.")}
    assert len([name for name in common if name.endswith(".float16")]) == 21


def test_a_float32_component_becomes_float16(model_from, component_of):
    text = """g (float[1,2,9,16] x, float[16] w, float[16,16] m, float[9,9] mask) => (float[1,2,9,9] y)
    { n = RMSNormalization<axis=-1>(x, w)  p = MatMul(n, m)  t = Transpose<perm=[0,1,3,2]>(p)  s = MatMul(n, t)
      k = Add(mask, s)  y = Softmax<axis=-1>(k) }"""
    random = np.random.default_rng(0)
    weights = {
        "w": random.normal(1, 0.1, 16),
        "m": random.normal(0, 0.2, (16, 16)),
        "mask": np.triu(np.full((9, 9), -3e38), 1),
    }

    component = component_of(
        model_from(text, {name: array.astype(np.float32) for name, array in weights.items()})
    )
    normalize(component)
    legalize_float16(component)
    kinds = collections.Counter(node.op_type for node in component.model.graph)
    assert kinds["RMSNormalization"] == 1 and kinds["Cast"] == 0 and kinds["Exp"] == 1
    assert {spec.dtype for spec in (*component.inputs, *component.outputs)} == {ir.DataType.FLOAT16}


def widened(model):
    """The graph in float32, with the same weights."""
    clone = model.clone()
    values = [*clone.graph.inputs, *(value for node in clone.graph for value in node.outputs)]
    for value in (*values, *clone.graph.initializers.values()):
        if value.dtype == ir.DataType.FLOAT16:
            value.type = ir.TensorType(ir.DataType.FLOAT)
            if value.const_value is not None:
                value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
    return clone


@pytest.mark.parametrize(("model", "name"), DEMO + QWEN)
def test_the_emulator_takes_it_whole_and_agrees(model, name, tool, legalised, tmp_path):
    _, after, _, feeds = legalised(model, name)
    path = tmp_path / "model.onnx"
    ir.save(after.model, path, external_data="model.data", size_threshold_bytes=1024)
    received = HtpExecutor(prepare(path, find_htp_soc("SM8750"), tmp_path / "out", environment=tool), tool)(
        feeds
    )
    expected = OnnxExecutor(path)(feeds)
    exact = OnnxExecutor(widened(after.model))(
        {
            key: array.astype(np.float32) if array.dtype == np.float16 else array
            for key, array in feeds.items()
        }
    )
    for key, values in expected.items():
        # random weights amplify each rounding; there HTP has to be as near to float32 as ONNX Runtime's float16 is
        attainable = signal_to_noise(exact[key], values) - 4
        assert (
            signal_to_noise(values, received[key]) >= 55
            or signal_to_noise(exact[key], received[key]) >= attainable
        )
