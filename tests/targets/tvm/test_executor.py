"""The process behind EmulatedExecutor: feeds, crashes, time limit, missing emulator."""

import numpy as np
import pytest

from targets.errors import ExecutionError, TargetError, ToolError
from targets.tvm.executor import EmulatedExecutor
from tests.targets.support import AARCH64, make_component

_X = {"x": np.ones(8, np.float32)}


@pytest.fixture(scope="module")
def relu(build):
    weights = {"w": np.arange(512, dtype=np.float32).reshape(8, 64)}
    return build(make_component("(float[8] x) => (y) { y = MatMul(x, w) }", weights), AARCH64)


def test_one_process_serves_many_runs(relu):
    with relu.executor() as execute:
        first = execute(_X)["y"]
        np.testing.assert_array_equal(execute({"x": 2 * _X["x"]})["y"], 2 * first)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({}, "is missing"),
        ({"x": np.ones(8, np.float64)}, "wrong type or shape"),
        ({"x": np.ones(9, np.float32)}, "wrong type or shape"),
    ],
)
def test_wrong_feeds_are_refused_before_the_run(relu, feeds, message):
    with relu.executor() as execute, pytest.raises(TargetError, match=message):
        execute(feeds)


def test_truncated_weights_are_reported_with_status_and_command(relu, tmp_path):
    short = tmp_path / "weights.bin"
    short.write_bytes(relu.weights.read_bytes()[:-1])
    binary = relu.folder / "model"
    inputs, outputs = relu.component.inputs, relu.component.outputs
    with EmulatedExecutor(binary, short, inputs, outputs) as execute, pytest.raises(ExecutionError) as caught:
        execute(_X)
    assert "exit status 3" in caught.value.what
    assert str(binary) in caught.value.where
    assert "x 32 B" in caught.value.remedy


def test_crash_of_the_binary_is_reported_with_its_signal(relu, tmp_path):
    broken = tmp_path / "broken"
    program = bytearray((relu.folder / "model").read_bytes())
    start = program.find(bytes.fromhex("1d0080d2"))  # mov x29, #0: the first instruction of the program
    assert start > 0
    program[start : start + 4] = b"\0\0\0\0"  # udf #0
    broken.write_bytes(program)
    broken.chmod(0o755)
    inputs, outputs = relu.component.inputs, relu.component.outputs
    with (
        EmulatedExecutor(broken, relu.weights, inputs, outputs) as execute,
        pytest.raises(ExecutionError) as caught,
    ):
        execute(_X)
    assert "SIGILL" in caught.value.what
    assert caught.value.exit_code == 1


def test_too_long_a_run_is_ended(tmp_path, relu):
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    inputs, outputs = relu.component.inputs, relu.component.outputs
    executor = EmulatedExecutor(sleeper, relu.weights, inputs, outputs, emulator=(), time_limit_s=0.2)
    with executor as execute, pytest.raises(ExecutionError, match=r"longer than 0\.2 s"):
        execute(_X)


def test_missing_emulator_names_its_install_command(relu, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as caught:
        relu.executor()
    assert caught.value.exit_code == 4
    assert "apt-get install -y qemu-user" in caught.value.remedy
