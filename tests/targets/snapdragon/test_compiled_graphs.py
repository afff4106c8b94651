"""Graphs that are executed by the process that compiles them, with a stand-in for the vendor's tool."""

import json
import zipfile

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from program.onnx_executor import OnnxExecutor
from targets.errors import ExecutionError
from targets.snapdragon.htp import compiled_graphs
from targets.snapdragon.htp.compiled_graphs import CompiledGraphs
from targets.snapdragon.htp.multi_chip import require_chips
from targets.snapdragon.htp.recompiled_graph import recompile_graph
from targets.snapdragon.htp.share_weights import prepare_shared
from targets.snapdragon.socs import find_htp_soc
from targets.tools.environment import ToolEnvironment
from targets.tools.process import JobError
from targets.tools.tool import find_tool
from tests.fake_tool import install_fake_tool

GALAXY = find_htp_soc("SM8750")


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Installs the stand-in, with a fault if one is named, and returns its environment."""

    def install(fault=""):
        monkeypatch.setenv("NPUC_CACHE", str(tmp_path / "cache"))
        install_fake_tool(monkeypatch, tmp_path / "cache", fault)
        return ToolEnvironment(find_tool("snapdragon"))

    return install


def _model(path, rows):
    """x · w with 2 KiB of weights, the same for any number of rows."""
    weights = np.random.default_rng(0).normal(0, 0.1, (16, 32)).astype(np.float32)
    tensors = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [rows, w]) for n, w in (("x", 16), ("y", 32))
    ]
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", tensors[:1], tensors[1:], [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.fixture
def models(tmp_path):
    return {
        f"{name}.onnx": _model(tmp_path / f"{name}.onnx", rows)
        for name, rows in (("prefill", 4), ("decode", 1))
    }


def _feeds(rows):
    return {"x": np.random.default_rng(rows).normal(size=(rows, 16)).astype(np.float32)}


def _ship(models, environment, tmp_path):
    stems = {file.removesuffix(".onnx"): path for file, path in models.items()}
    return prepare_shared(stems, GALAXY, tmp_path / "out", environment=environment).graphs


def test_one_process_compiles_once_and_executes_both_graphs(stand_in, models, monkeypatch, tmp_path):
    environment = stand_in()
    shipped = _ship(models, environment, tmp_path)
    started = []
    session = compiled_graphs.ToolSession
    monkeypatch.setattr(compiled_graphs, "ToolSession", lambda *a, **k: started.append(1) or session(*a, **k))
    with (
        recompile_graph(shipped["prefill"], models, GALAXY, environment) as prefill,
        recompile_graph(shipped["decode"], models, GALAXY, environment) as decode,
    ):
        assert not started
        for rows, graph in ((4, prefill), (1, decode), (4, prefill)):
            file = "prefill.onnx" if rows == 4 else "decode.onnx"
            np.testing.assert_array_equal(
                graph(_feeds(rows))["y"], OnnxExecutor(models[file])(_feeds(rows))["y"]
            )
    assert len(started) == 1
    with recompile_graph(shipped["decode"], models, GALAXY, environment) as decode:
        decode(_feeds(1))
    assert len(started) == 2


def test_a_compiler_that_makes_another_binary_is_noticed(stand_in, models, tmp_path):
    shipped = _ship(models, stand_in(), tmp_path)
    with (
        recompile_graph(shipped["decode"], models, GALAXY, stand_in("other")) as decode,
        pytest.raises(ExecutionError, match="another binary of the artifact's graphs") as caught,
    ):
        decode(_feeds(1))
    assert caught.value.exit_code == 1


def test_a_graph_of_other_shape_is_noticed(stand_in, models, tmp_path):
    environment = stand_in()
    shipped = _ship(models, environment, tmp_path)
    _model(models["decode.onnx"], rows=2)
    with (
        recompile_graph(shipped["decode"], models, GALAXY, environment) as decode,
        pytest.raises(ExecutionError, match="another binary of the artifact's graphs"),
    ):
        decode(_feeds(2))


def test_a_changed_file_is_refused_before_anything_is_compiled(stand_in, models, tmp_path):
    shipped = _ship(models, stand_in(), tmp_path)
    (tmp_path / "out" / "prefill_qnn.bin").write_bytes(b"foreign")
    with (
        recompile_graph(shipped["decode"], models, GALAXY, stand_in("killed")) as decode,
        pytest.raises(ExecutionError, match="changed after"),
    ):
        decode(_feeds(1))


@pytest.mark.parametrize("fault", ["1002", "dies"])
def test_a_fault_leaves_a_job_that_runs_again(stand_in, models, tmp_path, fault):
    graphs = CompiledGraphs(models, GALAXY, stand_in(fault), lambda _folder, _recorded: None)
    graphs.enter()
    with pytest.raises(JobError) as caught:
        graphs.run("decode.onnx", _feeds(1))
    graphs.leave()
    (folder,) = (path for path in caught.value.remedy.split() if "npuc-snapdragon-" in path)
    folder = type(tmp_path)(folder.rstrip(":"))
    request = json.loads((folder / "request.json").read_text())
    assert request["action"] == "prepare"
    executed = [graph["prepared"] for graph in request["graphs"] if "inputs" in graph]
    assert executed == (["decode.onnx"] if fault == "dies" else [])
    assert not [file for file in models if (folder / file).exists()]  # the compiler does not replace them
    assert (folder / "graph_1" / "inputs.npz").exists() == (fault == "dies")


def test_the_chips_of_a_binary_are_checked(tmp_path):
    chips = [find_htp_soc(name) for name in ("SM8650", "SM8750")]
    with zipfile.ZipFile(tmp_path / "binary", "w") as container:
        container.writestr("dlc.metadata2.3.0", b"")
        for chip in chips:
            container.writestr(f"htp.cache.{chip.model.lower()}.0", b"code")
    require_chips(tmp_path / "binary", chips)
    with pytest.raises(ExecutionError, match="does not have code for the chips"):
        require_chips(tmp_path / "binary", chips[:1])
    (tmp_path / "binary").write_bytes(b"one chip")
    with pytest.raises(ExecutionError, match="not a binary for several chips"):
        require_chips(tmp_path / "binary", chips)
