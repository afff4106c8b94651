"""Two compiles of one model at the same time, into one folder and one cache."""

import subprocess
import sys

import onnx
from onnx import TensorProto, helper


def test_two_compiles_at_once_leave_one_whole_artifact(npuc, tmp_path, monkeypatch):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10),
        tmp_path / "m.onnx",
    )
    monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "built" / "out"
    line = ["compile", str(tmp_path / "m.onnx"), "--device", "vivo-x200", "-o", str(out), "--quiet"]
    running = [
        subprocess.Popen([sys.executable, "-m", "npuc", *line], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    messages = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], messages
    assert npuc("verify", out).code == 0
    assert list(out.parent.iterdir()) == [out]
    assert not list((tmp_path / "cache" / "steps").glob(".building-*"))
