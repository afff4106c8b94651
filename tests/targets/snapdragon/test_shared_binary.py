"""One binary for prefill and decode, and one binary for several chips."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.errors import ExecutionError, TargetError
from targets.snapdragon.htp.context_binary import BINARY_NAME, MODEL_NAME
from targets.snapdragon.htp.executor import HtpExecutor
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.htp.share_weights import prepare_shared
from targets.snapdragon.socs import find_htp_soc
from targets.tools.environment import ToolEnvironment
from targets.tools.process import JobError
from targets.tools.tool import find_tool

_WIDTH, _INNER = 256, 2048


@pytest.fixture
def galaxy():
    return find_htp_soc("SM8750")


def _mlp(path, rows, seed=0):
    """x · up · down with 2 MiB of float16 weights, that lie beside the graph."""
    random = np.random.default_rng(seed)
    shapes = {"up": (_WIDTH, _INNER), "down": (_INNER, _WIDTH)}
    weights = {name: random.normal(0, 0.05, shape).astype(np.float16) for name, shape in shapes.items()}
    path.parent.mkdir(exist_ok=True)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "up"], ["h"]), helper.make_node("MatMul", ["h", "down"], ["y"])],
        "mlp",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, [rows, _WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [rows, _WIDTH])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return path


def _models(tmp_path, decode_seed=0):
    return {
        "prefill": _mlp(tmp_path / "p" / "prefill.onnx", rows=32),
        "decode": _mlp(tmp_path / "d" / "decode.onnx", rows=1, seed=decode_seed),
    }


def test_prefill_and_decode_share_their_weights_and_run(tool, galaxy, tmp_path):
    models = _models(tmp_path)
    alone = prepare(models["prefill"], galaxy, tmp_path / "alone", environment=tool)
    random = np.random.default_rng(1)
    samples = {
        name: {"x": random.normal(size=(rows, _WIDTH)).astype(np.float16)}
        for name, rows in {"prefill": 32, "decode": 1}.items()
    }
    shared = prepare_shared(models, galaxy, tmp_path / "out", samples=samples, environment=tool)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "prefill.onnx",
        "decode.onnx",
        "prefill_qnn.bin",
    }
    assert shared.size <= 1.03 * alone.size
    for name, feeds in samples.items():
        reference = OnnxExecutor(models[name])(feeds)["y"]
        assert signal_to_noise(reference, shared.outputs[name]["y"]) >= 55


def test_a_shared_binary_is_not_loaded_and_a_damaged_one_is_noticed(tool, galaxy, tmp_path):
    """The vendor's loader crashes at a shared binary on a workstation: npuc refuses before."""
    shared = prepare_shared(_models(tmp_path), galaxy, tmp_path / "out", environment=tool)
    with pytest.raises(ExecutionError, match="several graphs share"):
        HtpExecutor(shared.graphs["decode"], tool)({})
    (tmp_path / "out" / "prefill_qnn.bin").write_bytes(b"")
    for binary in shared.graphs.values():
        with pytest.raises(ExecutionError, match="changed"):
            binary.check()


def test_graphs_with_other_weights_share_nothing(tool, galaxy, tmp_path):
    shared = prepare_shared(_models(tmp_path, decode_seed=9), galaxy, tmp_path / "out", environment=tool)
    assert shared.size >= 2 * 2 * 2 * _WIDTH * _INNER


def test_one_binary_has_code_for_several_chips(tool, galaxy, float16_block, tmp_path):
    socs = [find_htp_soc(name) for name in ("SM8650", "SM8750", "SM8850")]
    several = prepare(float16_block, socs, tmp_path / "several", environment=tool)
    alone = prepare(float16_block, galaxy, tmp_path / "alone", environment=tool)
    assert several.compatibility.split(":")[4:6] == ["75,79,81", "57,69,87"]
    assert (several.soc_model, several.further_socs) == (57, (69, 87))
    assert (several.model, several.binary) == (MODEL_NAME, BINARY_NAME)
    assert several.size > alone.size
    with pytest.raises(ExecutionError, match="several chips"):
        HtpExecutor(several, tool)({})


def test_a_chip_that_cannot_compute_the_graph_refuses_the_whole_binary(tool, galaxy, float16_block, tmp_path):
    with pytest.raises(JobError, match="refused"):
        prepare(float16_block, [galaxy, find_htp_soc("SM8635")], tmp_path / "out", environment=tool)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [(), ("SM8750", "SM8750")])
def test_no_chip_and_a_chip_named_twice_are_refused(names, float16_block, tmp_path):
    absent = ToolEnvironment(find_tool("snapdragon"), tmp_path / "tools")
    with pytest.raises(TargetError, match="one or several different chips"):
        prepare(float16_block, [find_htp_soc(name) for name in names], tmp_path / "o", environment=absent)
