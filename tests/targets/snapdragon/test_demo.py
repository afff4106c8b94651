"""The bundled model through Qualcomm's compiler and emulation: compiled, verified, asked."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import npuc
from npuc.compare.binary.verify import verify_binaries
from npuc.demo.dataset import demo_requests
from targets.snapdragon.htp.divergence import first_divergence
from targets.snapdragon.socs import find_htp_soc


@pytest.fixture(scope="module")
def artifact(tool, tmp_path_factory):
    return npuc.compile(
        "demo", device="galaxy-s25", npu="float16", out=tmp_path_factory.mktemp("out") / "demo"
    )


def test_every_component_is_delegated_whole_and_agrees(artifact):
    for component in artifact.manifest.components:
        (segment,) = component.segments
        assert segment.processor == "htp"
        assert segment.agreement.executed and segment.agreement.passed
        assert segment.agreement.sqnr is None or segment.agreement.sqnr >= 55
    assert all(agreement.passed for agreement in verify_binaries(artifact).values())


def test_the_emulator_answers_like_the_reference(artifact):
    requests = demo_requests("test")[:6]
    runner = artifact.runner()
    with artifact.executors() as binaries:
        answers = [runner.generate(binaries, request, 8).text for request in requests]
    assert sum(answer == request.answer for answer, request in zip(answers, requests, strict=True)) >= 5


def test_the_first_wrong_operator_is_named(tool, tmp_path):
    """Softmax with signed 8-bit output: HTP computes it with an encoding of its own, without an error."""
    path = tmp_path / "softmax.onnx"
    scalars = {"xs": 0.05, "ps": 1 / 127, "ys": 0.01}
    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in scalars.items()]
    tensors += [helper.make_tensor("z", TensorProto.INT8, [], [0])]
    nodes = []
    for name, source, scale in (("x", "input", "xs"), ("a", "x_d", "xs"), ("p", "soft", "ps")):
        if name == "a":
            nodes.append(helper.make_node("Relu", ["x_d"], ["relu"], name="activation"))
        if name == "p":
            nodes.append(helper.make_node("Softmax", ["a_d"], ["soft"], name="attention"))
        source = {"x": "input", "a": "relu", "p": "soft"}[name]
        nodes.append(helper.make_node("QuantizeLinear", [source, scale, "z"], [f"{name}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", scale, "z"], [f"{name}_d"]))
    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 64]) for name in ("input", "p_d")]
    graph = helper.make_graph(nodes, "g", rows[:1], rows[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    feeds = [{"input": np.random.default_rng(0).normal(size=(4, 64)).astype(np.float32)}]
    found = first_divergence(path, find_htp_soc("SM8750"), feeds, 25, tool)
    assert found is not None
    assert (found.op_type, found.node) == ("Softmax", "attention")
