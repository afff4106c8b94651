"""The gates from the command line: what a user sees when a precision loses the model, and takes it all the same."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

RECIPE = 'version = 1\nextends = "high"\n[precision]\ntext = "float16"\nvision = "float16"\n'


@pytest.fixture
def model(tmp_path):
    """A product whose result float16 keeps eleven bits of, minus all but the last few of them."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((8, 8)).astype(np.float32) / 4, "far": np.array(1000, np.float32)}
    step = helper.make_node
    nodes = [
        step("MatMul", ["x", "w"], ["h"], name="product"),
        step("Add", ["h", "far"], ["a"], name="away"),
        step("Relu", ["a"], ["r"], name="rectify"),
        step("MatMul", ["r", "w"], ["p"], name="second"),
        step("MatMul", ["away_constant", "w"], ["q"], name="third"),
        step("Sub", ["p", "q"], ["y"], name="back"),
    ]
    constants["away_constant"] = np.full((1, 8), 1000, np.float32)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 8]) for name in "xy"]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializers)
    path = tmp_path / "far.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    (tmp_path / "recipe.toml").write_text(RECIPE + "[gates]\nmin_source_sqnr_float16 = 200.0\n")
    return path


@pytest.fixture
def options(model, tmp_path):
    return (
        model,
        "--device",
        "vivo-x200",
        "--tier",
        "high",
        "--recipe",
        tmp_path / "recipe.toml",
        "-o",
        tmp_path / "out",
    )


def test_a_precision_beyond_its_bound_is_refused_with_the_node_and_what_helps(npuc, options, tmp_path):
    result = npuc("compile", *options)
    assert result.code == 1
    assert "the number formats lose what the model computes; nothing was written" in result.err
    assert "component model, node " in result.err
    assert "bound: SQNR >= 200 dB" in result.err
    for help_ in ("[[precision.overrides]]", 'mode = "auto"', "--calibration", "--accept-precision-loss"):
        assert help_ in result.err
    assert not (tmp_path / "out").exists()


def test_a_loss_that_is_accepted_is_written_and_said_everywhere(npuc, options, model, tmp_path):
    result = npuc("compile", *options, "--accept-precision-loss")
    assert result.code == 0
    assert "precision loss accepted: model" in result.err
    assert "loss accepted" in result.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    precision = manifest["components"][0]["source"]["precision"]
    assert (precision["passed"], precision["accepted"]) == (False, True)
    assert "loss accepted" in (tmp_path / "out/report.html").read_text()
    assert not (tmp_path / "out/source").exists()
    verified = npuc("verify", tmp_path / "out", "--against", model)
    assert verified.code == 0
    assert "loss accepted" in verified.out
    inspected = npuc("inspect", tmp_path / "out")
    assert "ONNX Runtime without optimisation" in inspected.out


def test_verify_against_another_model_of_the_same_form_fails(npuc, options, model, tmp_path):
    assert npuc("compile", *options, "--accept-precision-loss").code == 0
    other = onnx.load(model)
    other.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.eye(8, dtype=np.float32), "w"))
    onnx.save(other, tmp_path / "other.onnx")
    result = npuc("verify", tmp_path / "out", "--against", tmp_path / "other.onnx")
    assert result.code == 1
    assert "NOT verified" in result.out


def test_random_inputs_are_said_with_what_is_better(npuc, options):
    result = npuc("compile", *options, "--accept-precision-loss")
    assert "compared on random numbers: floats normal(0, 1)" in result.err.replace("\n", " ")
    assert "--calibration" in result.err
