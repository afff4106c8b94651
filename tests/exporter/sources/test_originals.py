"""The model as the user gave it, run by its own framework, whatever npuc made of it."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from exporter.errors import ExportError
from exporter.options import CaptureOptions
from exporter.sources import open_source
from program.onnx_executor import OnnxExecutor

FACTORY = """
import torch
from torch import nn

class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x, ids):
        hidden = self.linear(x)
        return {"scores": hidden.softmax(-1), "picked": (hidden.argmax(-1), ids + 1)}

def build():
    torch.manual_seed(0)
    return Pair(), (torch.randn(2, 4), torch.arange(2))

def by_name():
    module, (x, ids) = build()
    return module, {"ids": ids, "x": x}

def different():
    class Flag(nn.Module):
        def forward(self, x):
            return x * (1 if torch.compiler.is_exporting() else 2)
    return Flag(), (torch.ones(2),)
"""


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "pair.py"
    path.write_text(FACTORY)
    return path


def both(program):
    """What the original and the captured component return for the first request."""
    feeds = program.requests[0].tensors
    original = program.original.openers["model"]()(feeds)
    captured = OnnxExecutor(program.components["model"].model)(feeds)
    assert original.keys() == captured.keys()
    return original, captured


@pytest.mark.parametrize("function", ["build", "by_name"])
def test_a_factory_is_run_in_eager_mode(factory, function):
    program = open_source(f"{factory}:{function}", CaptureOptions())
    assert program.original.method == "torch in eager mode"
    original, captured = both(program)
    for name, expected in original.items():
        np.testing.assert_allclose(captured[name], expected, rtol=1e-6)


def test_what_export_changes_shows(factory):
    original, captured = both(open_source(f"{factory}:different", CaptureOptions()))
    ((name, expected),) = original.items()
    assert (expected == 2).all()
    assert (captured[name] == 1).all()


def test_a_module_that_fails_on_its_shapes_is_an_error_of_the_user(factory):
    program = open_source(f"{factory}:build", CaptureOptions())
    executor = program.original.openers["model"]()
    feeds = {"x": np.ones((2, 5), np.float32), "ids": np.arange(2)}
    with pytest.raises(ExportError, match="fails on inputs of its own shapes"):
        executor(feeds)


@pytest.mark.parametrize("named", [False, True])
def test_an_exported_program_is_run_in_eager_mode(tmp_path, named):
    class Difference(nn.Module):
        def forward(self, x, *, y):
            return x - 2 * y

    class Sum(nn.Module):
        def forward(self, x, y):
            return x - 2 * y

    example = (torch.ones(3), torch.arange(3.0))
    made = (
        torch.export.export(Difference(), example[:1], {"y": example[1]})
        if named
        else torch.export.export(Sum(), example)
    )
    torch.export.save(made, tmp_path / "model.pt2")
    original, captured = both(open_source(tmp_path / "model.pt2", CaptureOptions()))
    for name, expected in original.items():
        assert expected.tolist() == [1, -1, -3]
        np.testing.assert_allclose(captured[name], expected)


def save(path, nodes, inputs, outputs, opset=21):
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10), path)
    return path


def test_an_onnx_file_is_run_by_onnx_runtime(tmp_path):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    path = save(tmp_path / "m.onnx", [helper.make_node("Elu", ["x"], ["y"])], ends[:1], ends[1:])
    program = open_source(path, CaptureOptions())
    assert program.original.method == "ONNX Runtime without optimisation"
    original, captured = both(program)
    np.testing.assert_allclose(captured["y"], original["y"], rtol=1e-6)


def test_onnx_evaluates_what_onnx_runtime_has_no_kernel_for(tmp_path, monkeypatch):
    def refuses(_path):
        raise RuntimeError("NOT_IMPLEMENTED: no kernel")

    monkeypatch.setattr("exporter.sources.onnx_files.onnx_original.plain_session", refuses)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    path = save(tmp_path / "m.onnx", [helper.make_node("Elu", ["x"], ["y"])], ends[:1], ends[1:])
    original, captured = both(open_source(path, CaptureOptions()))
    np.testing.assert_allclose(captured["y"], original["y"], rtol=1e-6)


def test_a_file_that_nothing_runs_says_so(tmp_path, monkeypatch):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    path = save(tmp_path / "m.onnx", [helper.make_node("Elu", ["x"], ["y"])], ends[:1], ends[1:])
    program = open_source(path, CaptureOptions())
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(ExportError, match="cannot be run as it is"):
        program.original.openers["model"]()
