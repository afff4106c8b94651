import subprocess
import sys

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from examples.add_a_pass.replace_division import ReplaceDivision
from passes import pipeline
from passes.pipeline import normalize
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Role

BEFORE = """
    <ir_version: 10, opset_import: ["" : 23]>
    g (float[2,8] x) => (float[2,8] y) <float eight = {8.0}> { y = Div(x, eight) }
"""
THIRD = BEFORE.replace("8.0", "3.0")


def division(text=BEFORE):
    model = ir.from_onnx_text(text)
    next(iter(model.graph)).name = "scale"
    return model


def test_a_power_of_two_becomes_a_multiplication():
    model, step = division(), ReplaceDivision()
    assert step(model).modified
    (node,) = model.graph
    assert node.op_type == "Mul"
    assert node.inputs[1].const_value.numpy() == np.float32(0.125)
    assert [remark.what for remark in step.remarks] == ["becomes a multiplication"]


def test_the_result_is_equal_in_every_bit():
    before, after = division(), division()
    ReplaceDivision()(after)
    smallest = np.float32(np.finfo(np.float32).smallest_subnormal)
    x = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    x[0, :5] = [np.inf, -np.inf, 0.0, -0.0, 13 * smallest]
    expected, received = OnnxExecutor(before)({"x": x})["y"], OnnxExecutor(after)({"x": x})["y"]
    assert expected.tobytes() == received.tobytes()


def test_another_divisor_stays_with_a_remark():
    model, step = division(THIRD), ReplaceDivision()
    assert not step(model).modified
    assert "not exact" in step.remarks[0].why


def test_the_registry_runs_it_by_name(monkeypatch):
    monkeypatch.setitem(pipeline.PASSES, "replace_division", lambda *_: ReplaceDivision())
    component = Component("block", Role.MODEL, Modality.TEXT, division())
    remarks = normalize(component, names=(*pipeline.NORMALISATION, "replace_division"))
    assert [node.op_type for node in component.model.graph] == ["Mul"]
    assert "ReplaceDivision" in {remark.pass_name for remark in remarks}


@pytest.mark.parametrize(
    ("text", "words"), [(BEFORE, "becomes a multiplication"), (THIRD, "stays a division")]
)
def test_the_script_prints_the_decision(tmp_path, text, words):
    onnx.save(ir.to_proto(division(text)), tmp_path / "block.onnx")
    command = [sys.executable, "-m", "examples.add_a_pass.show", str(tmp_path / "block.onnx")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert words in output
