"""A model is looked through once, in a child process, and again where its files change."""

import subprocess
import sys

import pytest
from onnx import TensorProto, helper

from exporter.errors import SourceError
from exporter.sources import examine
from exporter.sources.examine import examine_source, require_same


@pytest.fixture
def calls(monkeypatch):
    made = []
    original = examine.call_once

    def call(function, *arguments, **keywords):
        made.append(function)
        return original(function, *arguments, **keywords)

    monkeypatch.setattr(examine, "call_once", call)
    return made


def write(path, size=4):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size]) for name in "xy"]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])], "g", values[:1], values[1:], [weight]
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
    path.write_bytes(proto.SerializeToString())


def test_a_file_is_looked_through_once(tmp_path, calls):
    path = tmp_path / "m.onnx"
    write(path)
    found = examine_source(str(path))
    assert (found.weights, found.largest, found.live, found.files) == (4, 4, 32, ())
    assert found.parsed == path.stat().st_size
    assert examine_source(str(path)) == found and len(calls) == 1
    require_same(path)


def test_a_file_that_changes_is_looked_through_again(tmp_path, calls):
    path = tmp_path / "m.onnx"
    write(path)
    examine_source(str(path))
    write(path, size=8)
    with pytest.raises(SourceError, match="changed while it was read"):
        require_same(path)
    assert examine_source(str(path)).live == 64 and len(calls) == 2


def test_a_refused_file_is_not_remembered(tmp_path, calls):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08")
    for _ in range(2):
        with pytest.raises(SourceError, match="damaged"):
            examine_source(str(path))
    assert len(calls) == 2


@pytest.mark.parametrize("model", ["absent.onnx", "model.py:build", "notes.txt"])
def test_what_is_not_read_is_not_looked_through(tmp_path, monkeypatch, calls, model):
    monkeypatch.chdir(tmp_path)
    assert examine_source(model) is None and calls == []


def test_the_parent_needs_no_library_for_it(tmp_path):
    path = tmp_path / "m.onnx"
    write(path)
    code = (
        "import sys\n"
        "from exporter.sources.examine import examine_source\n"
        f"assert examine_source({str(path)!r}) is not None\n"
        "print([name for name in ('numpy', 'onnx', 'onnx_ir', 'torch', 'tokenizers') if name in sys.modules])\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
