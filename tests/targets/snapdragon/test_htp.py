import dataclasses

import numpy as np
import pytest

from program.agreement import signal_to_noise
from program.onnx_executor import OnnxExecutor
from targets.errors import ExecutionError, RefusedNodesError, TargetError, ToolError
from targets.snapdragon.htp.context_binary import BINARY_NAME, MODEL_NAME, files_sha256
from targets.snapdragon.htp.executor import HtpExecutor
from targets.snapdragon.htp.prepare import prepare
from targets.snapdragon.htp.refused_nodes import naming_refused_nodes
from targets.snapdragon.socs import find_htp_soc
from targets.tools.environment import ToolEnvironment
from targets.tools.process import JobError
from targets.tools.tool import find_tool


@pytest.fixture
def galaxy():
    return find_htp_soc("SM8750")


def rows(dtype):
    return {"x": np.random.default_rng(1).normal(size=(4, 64)).astype(dtype)}


@pytest.mark.parametrize(("block", "dtype", "bound"), [("float16", np.float16, 55), ("int8", np.float32, 30)])
def test_the_emulator_agrees_with_the_reference(block, dtype, bound, request, tool, galaxy, tmp_path):
    model = request.getfixturevalue(f"{block}_block")
    binary = prepare(model, galaxy, tmp_path / "out", environment=tool)
    outputs = HtpExecutor(binary, tool)(rows(dtype))
    reference = OnnxExecutor(model)(rows(dtype))
    assert outputs["y"].dtype == dtype and outputs["y"].shape == (4, 64)
    assert signal_to_noise(reference["y"], outputs["y"]) >= bound


def test_the_same_model_gives_the_same_binary_but_for_its_padding(tool, galaxy, float16_block, tmp_path):
    first = prepare(float16_block, galaxy, tmp_path / "first", environment=tool)
    second = prepare(float16_block, galaxy, tmp_path / "second", environment=tool)
    assert (first.folder / first.model).read_bytes() == (second.folder / second.model).read_bytes()
    one, other = (np.fromfile(binary.folder / binary.binary, np.uint8) for binary in (first, second))
    assert one.size == other.size
    assert np.count_nonzero(one != other) <= 0.01 * one.size
    assert {path.name for path in first.folder.iterdir()} == {MODEL_NAME, BINARY_NAME}


def test_a_refused_operator_leaves_nothing(tool, galaxy, unsupported_block, tmp_path):
    with pytest.raises(JobError, match="refused") as caught:
        prepare(unsupported_block, galaxy, tmp_path / "out", environment=tool)
    assert caught.value.exit_code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["erf.onnx"]


def test_a_refused_node_is_named(tool, galaxy, computed_bound_block, tmp_path):
    with pytest.raises(RefusedNodesError) as caught, naming_refused_nodes("block"):
        prepare(computed_bound_block, galaxy, tmp_path / "out", environment=tool)
    assert caught.value.nodes == ("limit",)
    assert caught.value.received == "Clip limit"
    assert (caught.value.reproducer / "output.txt").is_file()


def test_a_damaged_binary_is_refused_by_npuc_and_by_the_emulator(tool, galaxy, float16_block, tmp_path):
    binary = prepare(float16_block, galaxy, tmp_path / "out", environment=tool)
    path = binary.folder / BINARY_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ExecutionError, match="changed"):
        HtpExecutor(binary, tool)(rows(np.float16))
    unnoticed = dataclasses.replace(binary, sha256=files_sha256(binary.folder))
    with pytest.raises(JobError):
        HtpExecutor(unnoticed, tool)(rows(np.float16))


def test_a_compiler_that_takes_too_long_is_ended(tool, galaxy, float16_block, tmp_path):
    with pytest.raises(JobError, match=r"longer than 0\.05 s"):
        prepare(float16_block, galaxy, tmp_path / "out", environment=tool, seconds=0.05)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def absent(tmp_path):
    return ToolEnvironment(find_tool("snapdragon"), tmp_path / "tools")


def test_without_the_tool_the_command_is_named(absent, galaxy, float16_block, tmp_path):
    with pytest.raises(ToolError, match="npuc tools install snapdragon --accept-licence") as caught:
        prepare(float16_block, galaxy, tmp_path / "out", environment=absent)
    assert caught.value.exit_code == 4


def test_a_missing_model_and_an_existing_destination_are_refused(absent, galaxy, float16_block, tmp_path):
    with pytest.raises(TargetError, match="no such model"):
        prepare(tmp_path / "absent.onnx", galaxy, tmp_path / "out", environment=absent)
    with pytest.raises(TargetError, match="destination exists"):
        prepare(float16_block, galaxy, tmp_path, environment=absent)
