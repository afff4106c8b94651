"""Trained float graphs and those of sub-networks, kept for the integer formats of an NPU."""

import numpy as np
import onnx_ir as ir
import pytest

from npuc.artifact.weights_file import write_weights
from npuc.stages.capture.float_program import (
    copy_graphs,
    drop_float_program,
    keep_captured,
    keep_float_program,
    load_float_program,
)
from npuc.stages.capture.prepared import Prepared
from npuc.stages.learn.nested import Nested
from passes.integer.requantize import requantize
from passes.integer.scheme import Scheme
from passes.learning.subnetworks.nested import Subnetwork, narrow
from program.onnx_executor import OnnxExecutor
from program.program import Component, Modality, Program, Request, Role

GRAPH = """<ir_version: 10, opset_import: ["" : 23]>
two_layers (float[4, 24] x) => (float[4, 20] logits)
<float[2] up = {0, 0}, float[2] down = {0, 0}> {
    h = MatMul (x, up)
    a = Relu (h)
    logits = MatMul (a, down)
}"""
FULL = Subnetwork("full", {}, 1.0)
HALF, THIRD = (Subnetwork(name, {"up": width}, width / 48) for name, width in (("half", 24), ("third", 16)))


@pytest.fixture
def program():
    random, model = np.random.default_rng(0), ir.from_onnx_text(GRAPH)
    for name, shape in {"up": (24, 48), "down": (48, 20)}.items():
        value = model.graph.initializers[name]
        tensor = ir.tensor(random.standard_normal(shape).astype(np.float32), name=name)
        value.const_value, value.shape = tensor, ir.Shape(shape)
    rows = [Request(tensors={"x": random.standard_normal((4, 24)).astype(np.float32)}) for _ in range(3)]
    component = Component("model", Role.MODEL, Modality.TEXT, model)
    return Program("generic", {"model": component}, {}, {}, tuple(rows), {})


@pytest.fixture
def loaded(program, tmp_path):
    master = copy_graphs(program)
    nested = keep_float_program(master, (FULL, HALF, THIRD), program.requests, tmp_path)
    return load_float_program(Prepared(master, {}, (), nested, {}), tmp_path)


def test_sub_networks_compute_what_the_narrowed_program_does(program, loaded):
    assert set(loaded.components) == set(loaded.feeds) == {"model", "model_half", "model_third"}
    for subnetwork in (FULL, HALF, THIRD):
        narrowed = copy_graphs(program)
        narrow(narrowed, subnetwork)
        name = f"model_{subnetwork.name}" if subnetwork.widths else "model"
        feeds = loaded.feeds[name]
        assert len(feeds) == 3
        expected = OnnxExecutor(narrowed.components["model"].model)(feeds[0])["logits"]
        actual = OnnxExecutor(loaded.components[name].model)(feeds[0])["logits"]
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    assert [node.op_type for node in loaded.components["model_half"].model.graph] == [
        "MatMul",
        "Relu",
        "MatMul",
    ]


def test_integer_weights_of_one_name_are_the_same_bytes(loaded):
    """A file keeps one tensor of a name, whichever sub-network it is from."""
    seen = {}
    for name, component in loaded.components.items():
        requantize(component, Scheme.A16W8, loaded.feeds[name])
        for key, value in component.model.graph.initializers.items():
            content = value.const_value.tobytes()
            assert seen.setdefault(key, content) == content, key
    assert sum(key.endswith(".int8") for key in seen) == 6


def test_without_training_the_captured_weights_are_kept_as_they_lie(program, tmp_path):
    captured = tmp_path / "captured"
    captured.mkdir()
    write_weights(program.components, captured)
    keep_captured(program, program.requests, captured, tmp_path)
    assert not captured.exists()
    nested = (Nested("full", {}, 0, 1.0),)
    loaded = load_float_program(Prepared(program, {}, (), nested, {}), tmp_path)
    assert len(loaded.feeds["model"]) == 3
    given = load_float_program(Prepared(program, {}, (), nested, {}, {"model": [{}]}), tmp_path)
    assert given.feeds == {"model": [{}]}  # what was recorded before is not recorded again


def test_it_is_no_part_of_an_artifact(loaded, tmp_path):
    drop_float_program(tmp_path)
    assert not list(tmp_path.iterdir())
